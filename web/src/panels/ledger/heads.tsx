// The heads that compute nodes work on, and the reader's copy.
import { say } from "../../words";
import { hashIn } from "./copy";
import type { LedgerModel } from "./model";
import { digits } from "./words";

export function Heads({ model }: { model: LedgerModel }) {
  const nodes = new Map<string, string[]>();
  for (const { node, block } of [...model.story.heads.value.values()].sort((a, b) => a.node - b.node)) {
    nodes.set(block, [...(nodes.get(block) ?? []), `c${node}`]);
  }
  return (
    <p class="ledger-heads">
      <span>{say("ledger.heads")}</span>
      {[...nodes].map(([block, names]) => (
        <button key={block} onClick={() => model.blocks.value.has(block) && (model.selected.value = block)}>
          {names.length > 6 ? `${names[0]} – ${names.at(-1)}` : names.join(" ")}
          <span class="hash">{model.blocks.value.get(block)?.height ?? ""} {digits(block)[1]}</span>
        </button>
      ))}
      {!nodes.size && <MainHead model={model} />}
      <Copy model={model} />
    </p>
  );
}

/** A run whose links never fail records no heads: all nodes come to the main chain's. */
function MainHead({ model }: { model: LedgerModel }) {
  const top = model.main.value.at(-1);
  return top ? (
    <button onClick={() => (model.selected.value = top.hash)}>
      {say("ledger.main_chain")} <span class="hash">{top.height} {digits(top.hash)[1]}</span>
    </button>
  ) : null;
}

function Copy({ model }: { model: LedgerModel }) {
  const main = model.main.value;
  const lost = main.find(({ hash }) => model.stands.value.get(hash)!.standing !== "fine"), top = main.at(-1);
  const at = lost ? say("ledger.ends_at", { height: lost.height - 1 }) : say("ledger.holds_to", { height: top?.height ?? 0 });
  return (
    <button class={lost ? "ledger-copy wrong" : "ledger-copy"} onClick={() => (model.selected.value = (lost ?? top)?.hash ?? null)}>
      {say("ledger.your_copy")} <span class="hash">{at}{!lost && top ? ` ${digits(hashIn(model.copy.value, top))[1]}` : ""}</span>
    </button>
  );
}
