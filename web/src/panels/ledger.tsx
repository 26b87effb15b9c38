// Ledger: what holds the chain together? The browser checks every block by itself, and its reader may
// change bytes of a copy and mine again.
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { Panel } from "../parts/Panel";
import { checked, connection, round, story } from "../state";
import { say } from "../words";
import { Details } from "./ledger/details";
import { Fetching } from "./ledger/fetching";
import { Heads } from "./ledger/heads";
import { Miner } from "./ledger/mining";
import { LedgerModel } from "./ledger/model";
import { TreeView } from "./ledger/treeview";
import { findingOf, missingOf, seconds, tallyOf } from "./ledger/words";
import { hashIn } from "./ledger/copy";

export function Ledger() {
  const model = useSignal<LedgerModel | null>(null);
  model.value ??= new LedgerModel(story);
  const ledger = model.value;
  useSignalEffect(() => tellHeader(ledger));
  useSignalEffect(() => followRound(ledger));
  return <LedgerView model={ledger} served={connection.value !== "file"} />;
}

/** The panel of any story: `served`, whether messages of blocks can be asked for. */
export function LedgerView({ model, served }: { model: LedgerModel; served: boolean }) {
  const miner = useSignal(new Miner(model)).value, fetching = useSignal(new Fetching(model)).value;
  const block = model.blocks.value.get(model.selected.value ?? "");
  const table = useComputed(() => tableOf(model));
  useSignalEffect(() => {
    if (served && model.blocks.value.size > 1) void fetching.go();
  });
  const empty = model.blocks.value.size || model.verifier.refusal.value ? undefined : say("ledger.empty");
  return (
    <Panel id="ledger" title={say("ledger.title")} finding={findingOf(model)} empty={empty} table={table.value}>
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

function tableOf(model: LedgerModel) {
  const head = (["height", "hash", "maker", "time", "messages", "state"] as const).map((name) => say(`ledger.head_${name}`));
  const rows = [...model.blocks.value.values()].reverse().map((block) => {
    const { standing } = model.stands.value.get(block.hash)!, state = say(`ledger.${standing}`);
    const words = block.main ? state : `${say("ledger.stale")}, ${state}`;
    return [block.height, hashIn(model.copy.value, block).slice(0, 16), block.height ? model.makerOf(block.bytes) : "–", seconds(block.arrivedMs), block.messages, words];
  });
  return { head, rows };
}

/** Tell the page's header what the check has found. */
function tellHeader(model: LedgerModel): void {
  const tally = tallyOf(model);
  if (!tally.blocks) return;
  const done = tally.checked >= tally.blocks;
  const state = tally.broken.length || model.verifier.refusal.value ? "broken" : !done ? "running" : tally.models === tally.blocks ? "held" : "partly";
  checked.value = { state, words: say(`ledger.badge_${state}`, { n: tally.blocks }) };
}

/** The page's round chooses its block, until the reader chooses another. */
function followRound(model: LedgerModel): void {
  const at = round.value, { columns } = model.grown.value;
  if (model.copy.peek().size) return;
  const found = columns[at]?.[0] ?? columns.findLast((hashes) => hashes.length)?.[0];
  if (found) model.selected.value = found;
}

