// Single keys that move the page. They are off in fields, and can be switched off altogether.
import { changeSpeed, chooseRound, moveRound, moveStep, togglePlay } from "./moves";
import {
  helpOpen, keysOn, lastRound, panel, PANELS, presenter, told, truth, type PanelName,
} from "./state";

/** The keys as the help shows them, with the key of their words. */
export const KEYS = [
  ["Space", "keys.play"],
  ["← →", "keys.round"],
  ["Shift + ← →", "keys.step"],
  ["Home, End", "keys.ends"],
  ["[ ]", "keys.speed"],
  ["1 – 7", "keys.panel"],
  ["t", "keys.truth"],
  ["f", "keys.larger"],
  ["p", "keys.presenter"],
  ["?", "keys.help"],
  ["Esc", "keys.escape"],
] as const;

const MOVES: Record<string, () => void> = {
  " ": togglePlay,
  ArrowLeft: () => moveRound(-1),
  ArrowRight: () => moveRound(1),
  "shift+ArrowLeft": () => moveStep(-1),
  "shift+ArrowRight": () => moveStep(1),
  Home: () => chooseRound(told.value[0] ?? 0),
  End: () => chooseRound(lastRound.value),
  "[": () => changeSpeed(-1),
  "]": () => changeSpeed(1),
  t: () => (truth.value = !truth.value),
  f: () => (panel.value = panel.value ? null : focusedPanel()),
  p: () => (presenter.value = !presenter.value),
  "?": () => (helpOpen.value = true),
  Escape: () => (panel.value = null),
};

/** The move of a key press; undefined where the key has none, or belongs to the element. */
function moveOf(event: KeyboardEvent): (() => void) | undefined {
  if (!keysOn.value || helpOpen.value || event.defaultPrevented) return undefined;
  if (event.ctrlKey || event.altKey || event.metaKey || ownsKey(event)) return undefined;
  if (/^[1-7]$/.test(event.key)) return () => goTo(PANELS[Number(event.key) - 1]!);
  const arrow = event.shiftKey && event.key.startsWith("Arrow");
  return MOVES[arrow ? `shift+${event.key}` : event.key];
}

/** Whether the focused element uses this key itself. */
function ownsKey({ target, key }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("dialog")) return true;
  if (target.matches("input[type=checkbox], input[type=radio]")) return key === " ";
  if (target.matches("input, select, textarea")) return key !== "Escape";
  if (target.matches(".scroll")) return /^(Arrow|Home|End| )/.test(key);
  return key === " " && target.closest("button, summary, a, [role=button]") !== null;
}

/** Bring a panel into view and give it the focus; a maximised one takes the other's place. */
function goTo(name: PanelName): void {
  if (panel.value) panel.value = name;
  const element = document.getElementById(`panel-${name}`);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "start" });
}

function focusedPanel(): PanelName {
  const within = document.activeElement?.closest(".panel")?.id.replace("panel-", "");
  return PANELS.find((name) => name === within) ?? "compass";
}

export function listenToKeys(): void {
  document.addEventListener("keydown", (event) => {
    const move = moveOf(event);
    if (!move) return;
    event.preventDefault();
    move();
  });
}
