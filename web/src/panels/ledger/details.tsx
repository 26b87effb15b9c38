// One block: its hash, its checks, and what the reader can do to it.
import { readHeader } from "../../chain/block";
import { hex } from "../../chain/bytes";
import { CHECKS } from "../../chain/light";
import { whole } from "../../format";
import { say } from "../../words";
import { Bytes } from "./bytes";
import { type Block, editOf, hashIn, withByte } from "./copy";
import type { Miner } from "./mining";
import type { LedgerModel } from "./model";
import { checkWords, digits, seconds } from "./words";

const LAST_OF_MODEL = 191;

export function Details({ model, miner, block }: { model: LedgerModel; miner: Miner; block: Block }) {
  const title = block.height ? say("ledger.block_title", { height: block.height }) : say("ledger.genesis");
  return (
    <div class="ledger-details">
      <div class="ledger-left">
        <h3>{title} <span class="ledger-place">{placeWords(model, block)}</span></h3>
        <Bytes key={block.hash} model={model} block={block} />
      </div>
      <div class="ledger-right">
        <Hash model={model} block={block} />
        {block.height > 0 && <Marks model={model} block={block} />}
        {block.height > 0 && <Tools model={model} miner={miner} block={block} />}
      </div>
    </div>
  );
}

function placeWords(model: LedgerModel, block: Block): string {
  if (!block.height) return say("ledger.genesis_place");
  const place = say(block.main ? "ledger.main_place" : "ledger.stale_place");
  return say("ledger.found_by", { place, maker: model.makerOf(block.bytes), time: seconds(readHeader(block.bytes).timeMs) });
}

function Hash({ model, block }: { model: LedgerModel; block: Block }) {
  const hash = hashIn(model.copy.value, block), [zeros] = digits(hash), target = model.targetIn(block);
  const child = model.main.value.find(({ parent }) => parent === block.hash);
  const named = child && hex(editOf(model.copy.value, child).bytes.subarray(52, 84));
  const words = !child ? say("ledger.no_child")
    : say(named === hash ? "ledger.child_right" : "ledger.child_wrong", { height: child.height, named: digits(named!).join("") });
  return (
    <>
      <h3>{say("ledger.hash_title")}</h3>
      <p class="hash ledger-whole" id="ledger-hash"><span class="faint">{zeros}</span>{hash.slice(zeros.length)}</p>
      {block.height > 0 && <p class="note">{say("ledger.target")} <span class="hash">{target ? `${hex(target).slice(0, 16)}…` : say("ledger.no_target")}</span></p>}
      <p class={child && named !== hash ? "note wrong" : "note"}>{words}</p>
    </>
  );
}

const SIGNS = new Map([[true, "✓"], [false, "✕"], [null, "–"]]);

function Marks({ model, block }: { model: LedgerModel; block: Block }) {
  const marks = model.marks(block), sampled = model.ground.value!.rules.sampled;
  return (
    <ul class="ledger-checks">
      {CHECKS.map((name) => {
        const mark = marks?.[name], state = !mark || mark.holds === null ? "open" : mark.holds ? "right" : "wrong";
        return (
          <li class={state} key={name}>
            <span aria-hidden="true">{mark ? SIGNS.get(mark.holds) : "…"}</span>
            <span>
              <b>{say(name === "messages" ? "ledger.messages_name" : `ledger.${name}`)}</b> {checkWords(name, mark, block, sampled)}
              {mark?.reason && <span class="note ledger-reason">{mark.reason}</span>}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Tools({ model, miner, block }: { model: LedgerModel; miner: Miner; block: Block }) {
  const busy = miner.mined.value?.state === "running", above = model.above(block);
  const last = editOf(model.copy.value, block).bytes[LAST_OF_MODEL]!;
  return (
    <>
      <div class="ledger-tools">
        <button disabled={busy} onClick={() => model.change(withByte(model.copy.value, block, LAST_OF_MODEL, last ^ 1))}>{say("ledger.change_model")}</button>
        <button disabled={busy} onClick={() => void miner.mine([block], false)}>{say("ledger.mine")}</button>
        {block.main && above.length > 0 && <button disabled={busy} onClick={() => void miner.mine(above, true)}>{say("ledger.mine_above")}</button>}
        {busy ? <button onClick={() => miner.stop()}>{say("ledger.stop")}</button>
          : <button disabled={model.versions.value.length < 2} onClick={() => model.undo()}>{say("ledger.undo")}</button>}
      </div>
      <p class="ledger-mined" role="status">{minedWords(model, miner, block)}</p>
    </>
  );
}

/** What mining has come to, and what it has not. */
function minedWords(model: LedgerModel, miner: Miner, block: Block): string {
  const mined = miner.mined.value;
  if (!mined) return "";
  const tries = whole(mined.tries), sampled = model.ground.value!.rules.sampled;
  if (mined.state === "running") return say("ledger.mining", { height: mined.height, tries });
  if (mined.state === "stopped") return say("ledger.stopped", { tries });
  if (!model.copy.value.size) return "";
  const done = sampled ? say("ledger.mined_sampled")
    : say(mined.first === mined.height ? "ledger.mined" : "ledger.mined_above", { n: mined.tries, first: mined.first, last: mined.height });
  const wrong = [...model.copy.value.keys()].map((hash) => model.blocks.value.get(hash)!).some((changed) => model.marks(changed)?.model.holds === false);
  const child = model.above(block)[0], cut = child && !model.stands.value.get(child.hash)!.linked;
  return [done, cut ? say("ledger.next_names_old", { height: child.height }) : "", wrong ? say("ledger.work_no_help") : ""].filter(Boolean).join(" ");
}
