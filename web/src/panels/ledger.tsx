// Ledger: what holds the chain together? The browser checks every block by itself, and its reader may
// change bytes of a copy and mine again.
import { useSignal, useSignalEffect } from "@preact/signals";
import { Panel } from "../parts/Panel";
import type { Cell, TableContent } from "../parts/Table";
import { changed, checked, connection, round, story } from "../state";
import { say } from "../words";
import { Details } from "./ledger/details";
import { Fetching } from "./ledger/fetching";
import { Heads } from "./ledger/heads";
import { Miner } from "./ledger/mining";
import { LedgerModel } from "./ledger/model";
import { TreeView } from "./ledger/treeview";
import { findingOf, missingOf, seconds } from "./ledger/words";
import { type Block, hashIn } from "./ledger/copy";

export function Ledger() {
  const model = useSignal<LedgerModel | null>(null);
  model.value ??= new LedgerModel(story);
  const ledger = model.value;
  useSignalEffect(() => tellHeader(ledger));
  useSignalEffect(() => followRound(ledger));
  return <LedgerView model={ledger} served={connection.value !== "file"} />;
}

/** The panel of any story: `served`, whether messages of blocks can be asked for. */
function LedgerView({ model, served }: { model: LedgerModel; served: boolean }) {
  const miner = useSignal(new Miner(model)).value, fetching = useSignal(new Fetching(model)).value;
  const block = model.blocks.value.get(model.selected.value ?? "");
  useSignalEffect(() => {
    if (served && model.blocks.value.size > 1) void fetching.go();
  });
  const empty = model.blocks.value.size || model.verifier.refusal.value ? undefined : say("ledger.empty");
  return (
    <Panel id="ledger" title={say("ledger.title")} finding={findingOf(model)} empty={empty} table={tableOf(model)}>
      <Heads model={model} />
      <TreeView model={model} />
      {block && <Details model={model} miner={miner} block={block} />}
      {served && <Fetch fetching={fetching} />}
      <Missing model={model} />
    </Panel>
  );
}

function Missing({ model }: { model: LedgerModel }) {
  return (
    <div class="ledger-missing">
      <h3>{say("ledger.missing")}</h3>
      <ul>{missingOf(model).map((words) => <li key={words}>{words}</li>)}</ul>
    </div>
  );
}

function Fetch({ fetching }: { fetching: Fetching }) {
  const n = fetching.waiting().length;
  if (fetching.running.value) return <p class="note">{say("ledger.fetching")}</p>;
  return n ? <p><button onClick={() => void fetching.go(true)}>{say("ledger.fetch", { n })}</button></p> : null;
}

/** The table; its rows are made when it is opened, since a long chain has many. */
function tableOf(model: LedgerModel): TableContent {
  const head = (["height", "hash", "maker", "time", "messages", "state"] as const).map((name) => say(`ledger.head_${name}`));
  return { head, get rows() { return [...model.blocks.value.values()].reverse().map((block) => rowOf(model, block)); } };
}

function rowOf(model: LedgerModel, block: Block): Cell[] {
  const state = say(`ledger.${model.stands.value.get(block.hash)!.standing}`);
  const hash = hashIn(model.copy.value, block).slice(0, 16), maker = block.height ? model.makerOf(block.bytes) : "–";
  return [block.height, hash, maker, seconds(block.arrivedMs), block.messages, block.main ? state : `${say("ledger.stale")}, ${state}`];
}

/** Tell the page's header what the check has found. */
function tellHeader(model: LedgerModel): void {
  const tally = model.tally.value;
  changed.value = model.copy.value.size > 0;
  if (!tally.blocks) return;
  const done = tally.checked >= tally.blocks;
  const state = tally.broken.length || model.verifier.refusal.value ? "broken" : !done ? "running" : tally.models === tally.blocks ? "held" : "partly";
  checked.value = { state, words: say(`ledger.badge_${state}`, { n: tally.blocks }) };
}

/** The page's round chooses its block, until the reader has changed one. */
function followRound(model: LedgerModel): void {
  const at = round.value, { columns, places } = model.grown.value;
  if (model.copy.peek().size) return;
  const chosen = columns.findLast(([hash]) => hash !== undefined && places.get(hash)!.block.height <= at)?.[0];
  if (chosen) model.selected.value = chosen;
}
