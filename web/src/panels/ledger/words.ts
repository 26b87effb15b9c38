// What the ledger panel says of blocks, in the words of strings/en.json.
import { FIELDS, type FieldName } from "../../chain/block";
import { hex } from "../../chain/bytes";
import { CHECKS, type CheckName, type Mark } from "../../chain/light";
import { workOf } from "../../chain/work";
import { three, whole } from "../../format";
import { say } from "../../words";
import { type Block, editOf, hashIn } from "./copy";
import type { LedgerModel } from "./model";

/** A hash in two parts: its leading zeros, and the first digits after them. */
export function digits(hash: string): [string, string] {
  const zeros = /^0*/.exec(hash)![0];
  return [zeros, hash.slice(zeros.length, Math.max(8, zeros.length + 5))];
}

/** A target in words: how many bits of a hash must be zero, on average over many tries. */
function targetWords(bits: number): string {
  let tries: bigint;
  try {
    tries = workOf(bits);
  } catch {
    return say("ledger.no_target");
  }
  const zeros = Math.log2(Number(tries));
  const shown = Math.abs(zeros - Math.round(zeros)) < 0.01 ? String(Math.round(zeros)) : zeros.toFixed(1);
  return say("ledger.zero_bits", { bits: shown });
}

/** Simulated milliseconds as seconds. */
export function seconds(ms: number | bigint): string {
  return say("ledger.seconds", { s: three(Number(ms) / 1000) });
}

/** The value of a field in words; empty where its bytes say it all. */
export function decoded(model: LedgerModel, block: Block, field: FieldName): string {
  const { bytes } = editOf(model.copy.value, block);
  const [, start, size] = FIELDS.find(([name]) => name === field)!, part = bytes.subarray(start, start + size);
  const number = BigInt(`0x${hex(part)}`);
  switch (field) {
    case "tag": return String.fromCharCode(...part).replace(/[^ -~]/g, "·");
    case "version": case "height": return String(number);
    case "nonce": return whole(Number(number));
    case "time_ms": return seconds(number);
    case "bits": return targetWords(Number(number));
    case "address": return model.makerOf(bytes);
    case "parent": return parentWords(model, block, hex(part));
    case "messages_root": return say("ledger.messages", { n: block.messages });
    default: return "";
  }
}

function parentWords(model: LedgerModel, block: Block, named: string): string {
  const below = model.blocks.value.get(block.parent);
  if (!below) return block.height ? say("ledger.unknown_block") : "";
  const height = below.height ? say("ledger.block", { height: below.height }) : say("ledger.genesis");
  return named === hashIn(model.copy.value, below) ? height : say("ledger.not_block", { block: height });
}

/** The text beside a check: what holds, what does not, or what is not here. */
export function checkWords(name: CheckName, mark: Mark | undefined, block: Block, sampled: boolean): string {
  if (!mark) return say("ledger.waits");
  if (name === "work" && sampled && mark.holds) return say("ledger.work_sampled");
  if (name === "model" && mark.holds === false && !mark.whole) return say("ledger.model_other");
  const state = mark.holds === null ? "missing" : mark.holds ? (mark.whole ? "holds" : "partly") : "wrong";
  return say(`ledger.${name}_${state}`, { n: block.messages });
}

/** The panel's finding: how the chain as it came stands, or the reader's copy of it. */
export function findingOf(model: LedgerModel): string {
  if (model.verifier.refusal.value) return say("ledger.refused", { reason: model.verifier.refusal.value });
  if (model.copy.value.size) return copyFinding(model);
  const tally = model.tally.value, [wrong] = tally.broken;
  if (!tally.blocks) return say("ledger.no_block");
  if (wrong) {
    const marks = model.verifier.marks.value.get(wrong.hash)!;
    const reason = CHECKS.map((name) => marks[name]).find(({ holds }) => holds === false)!.reason;
    return say("ledger.found_broken", { height: wrong.height, reason });
  }
  if (tally.checked < tally.blocks) return say("ledger.checking", { done: whole(tally.checked), all: whole(tally.blocks) });
  const models = tally.models === tally.blocks ? "all_models" : tally.models ? "some_models" : "no_models";
  return say("ledger.all_hold", { n: tally.blocks, stale: tally.stale }) + " " + say(`ledger.${models}`, { n: tally.models, all: tally.blocks });
}

function copyFinding(model: LedgerModel): string {
  const stands = model.stands.value, blocks = [...model.blocks.value.values()];
  const lost = blocks.filter(({ hash }) => stands.get(hash)!.standing !== "fine");
  const nodes = model.story.run.value?.compute ?? 0;
  if (!lost.length) return say("ledger.copy_holds", { height: blocks.find(({ hash }) => model.copy.value.has(hash))!.height });
  return say("ledger.copy_refused", { height: lost[0]!.height, n: lost.length }) + (nodes ? say("ledger.nodes_keep", { n: nodes }) : "");
}

/** What was not checked here, a sentence for each. */
export function missingOf(model: LedgerModel): string[] {
  const tally = model.tally.value, said: string[] = [];
  for (const part of model.verifier.unknown.value) said.push(say("ledger.unknown_part", { part }));
  const models = tally.blocks - tally.models;
  if (!model.verifier.unknown.value.length && models && tally.checked === tally.blocks) said.push(say("ledger.models_missing", { n: models }));
  if (tally.rootsOnly) said.push(say("ledger.roots_only", { n: tally.rootsOnly }));
  if (tally.loose) said.push(say("ledger.loose", { n: tally.loose }));
  said.push(say("ledger.never_checked"));
  return said;
}
