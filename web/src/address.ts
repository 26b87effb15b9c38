// What the reader has chosen, in the page's address (`#r=12&panel=compass&keep=6&truth=0`), so that
// a link leads to the same view. In a notebook's sandbox the history throws: then it is in memory.
import { effect } from "@preact/signals";
import { awaitRound } from "./moves";
import {
  following, keep, keysOn, overlay, panel, PANELS, presenter, round, step, theme, truth, WHOLE,
  type PanelName,
} from "./state";

/** The choices that an address holds. Round and step are left out while the page follows the run. */
export interface Choices {
  r: number | null;
  s: number;
  panel: PanelName | null;
  keep: number | null;
  truth: boolean;
  presenter: boolean;
  theme: "light" | "dark" | null;
  over: string | null;
  keys: boolean;
}

function numberOf(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** Choices of a hash. What is missing or makes no sense is as if nobody had chosen. */
export function readHash(hash: string): Choices {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  const named = found.get("panel");
  const shade = found.get("theme");
  return {
    r: numberOf(found.get("r")),
    s: Math.min(WHOLE, numberOf(found.get("s")) ?? WHOLE),
    panel: PANELS.find((name) => name === named) ?? null,
    keep: numberOf(found.get("keep")),
    truth: found.get("truth") !== "0",
    presenter: found.get("presenter") === "1",
    theme: shade === "light" || shade === "dark" ? shade : null,
    over: found.get("over"),
    keys: found.get("keys") !== "0",
  };
}

/** The hash of choices, without those that nobody has made. */
export function writeHash(choices: Choices): string {
  const found = new URLSearchParams();
  if (choices.r !== null) found.set("r", String(choices.r));
  if (choices.r !== null && choices.s !== WHOLE) found.set("s", String(choices.s));
  if (choices.panel) found.set("panel", choices.panel);
  if (choices.keep !== null) found.set("keep", String(choices.keep));
  if (!choices.truth) found.set("truth", "0");
  if (choices.presenter) found.set("presenter", "1");
  if (choices.theme) found.set("theme", choices.theme);
  if (choices.over !== null) found.set("over", choices.over);
  if (!choices.keys) found.set("keys", "0");
  const text = found.toString();
  return text ? `#${text}` : "";
}

function chosen(): Choices {
  return {
    r: following.value || round.value === 0 ? null : round.value,
    s: step.value,
    panel: panel.value,
    keep: keep.value,
    truth: truth.value,
    presenter: presenter.value,
    theme: theme.value,
    over: overlay.value,
    keys: keysOn.value,
  };
}

/** Make the choices of the address. */
function choose(choices: Choices): void {
  panel.value = choices.panel;
  keep.value = choices.keep;
  truth.value = choices.truth;
  presenter.value = choices.presenter;
  theme.value = choices.theme;
  overlay.value = choices.over;
  keysOn.value = choices.keys;
  if (choices.r !== null) awaitRound(choices.r, choices.s);
}

/** Milliseconds between two writes: browsers refuse more than 100 in 30 seconds. */
const PAUSE_MS = 400;

/** Read the address, and keep it as the reader chooses. Call it when the first records are there. */
export function keepAddress(): void {
  choose(readHash(location.hash));
  addEventListener("hashchange", () => choose(readHash(location.hash)));
  let waiting = 0;
  effect(() => {
    const hash = writeHash(chosen());
    clearTimeout(waiting);
    waiting = setTimeout(() => remember(hash), PAUSE_MS) as unknown as number;
  });
}

function remember(hash: string): void {
  if (hash === location.hash) return;
  try {
    history.replaceState(null, "", hash || location.pathname + location.search);
  } catch {
    // A sandboxed frame: the choices stay in memory alone.
  }
}
