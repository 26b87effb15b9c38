import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cosineOf, degrees, inner, length, noiseAlone, readGram, sumOfAll } from "../src/panels/compass/gram";
import { reading } from "../src/panels/compass/rules";
import {
  countsOf, cutOf, factorsOf, isCloseCut, keepAt, keptOf, median, ranking, sharesOf, stepOf,
} from "../src/panels/compass/selection";
import { loadingsOf, Sides, turned } from "../src/panels/compass/sides";
import { inBlockOf, viewOf } from "../src/panels/compass/view";
import { bytesOf, type GramRecord, type MessageRecord, type RoundRecord, type RunRecord } from "../src/records";

interface Values {
  rule: { kind: string; keep?: number };
  holders: number[];
  attack: string[];
  norms: number[];
  records: number[];
  cosines: string;
  sum_cosines: number[];
  used: boolean[];
  shares: number[];
  sides: number[];
  noise_alone: number;
  steps: { keep: number | null; used: boolean[]; length: number; with_sum: number; with_honest: number }[];
}

// What numpy computed from whole directions: see make_compass_values.py.
const blocks: Values[] = JSON.parse(readFileSync("test/compass_values.json", "utf8"));
const gramOf = (block: Values) => readGram(bytesOf(block.cosines), block.norms)!;

function near(found: number | null, wanted: number, within: number): void {
  assert.ok(found !== null && Math.abs(found - wanted) <= within, `${found} is not near ${wanted}`);
}

/** The step of a block at some number of kept messages, or by the run's own shares. */
function stepAt(block: Values, keep: number | null) {
  const { scale, weights } = reading(block.rule);
  const counts = countsOf(block.records, weights);
  const chosen = keep === null ? [] : keptOf(ranking(block.sum_cosines), keep);
  const shares = keep === null ? block.shares : sharesOf(chosen, counts);
  const factors = factorsOf(block.norms, scale);
  const honest = sharesOf(block.attack.map((attack) => attack === ""), counts);
  return { shares, step: stepOf(shares, factors), mean: stepOf(honest, factors) };
}

test("at the run's own keep the messages are those that messages.csv calls used", () => {
  for (const block of blocks.filter((one) => one.rule.keep)) {
    assert.deepEqual(keptOf(ranking(block.sum_cosines), block.rule.keep!), block.used);
    const { shares } = stepAt(block, block.rule.keep!);
    shares.forEach((one, place) => near(one, block.shares[place]!, 1e-9));
  }
});

test("the step from cosines is the step from whole directions, at every keep and by shares", () => {
  for (const block of blocks) {
    const gram = gramOf(block);
    for (const wanted of block.steps) {
      const { shares, step, mean } = stepAt(block, wanted.keep);
      assert.deepEqual(shares.map((one) => one > 0), wanted.used);
      near(length(gram, step) / wanted.length, 1, 1e-4);
      near(cosineOf(gram, step, sumOfAll(gram)), wanted.with_sum, 1e-4);
      near(cosineOf(gram, step, mean), wanted.with_honest, 1e-4);
    }
  }
});

test("cosines with the sum follow from the cosines of pairs, as messages.csv has them", () => {
  for (const block of blocks) {
    const gram = gramOf(block);
    const sum = length(gram, sumOfAll(gram));
    block.sum_cosines.forEach((wanted, place) => {
      const unit = block.norms.map((_, one) => (one === place ? 1 : 0));
      near(inner(gram, unit, sumOfAll(gram)) / sum, wanted, 1e-5);
    });
    near(noiseAlone(gram), block.noise_alone, 1e-5);
  }
});

test("sides are the signs of the first principal component of what is orthogonal to the sum", () => {
  for (const block of blocks) {
    const made = loadingsOf(gramOf(block));
    const wanted = block.sides.map((side) => side * Math.sign(block.sides[0]! * made[0]!));
    assert.deepEqual([...made].map(Math.sign), wanted);
  }
});

test("a component that comes out with the other sign leaves holders where they were", () => {
  const before = new Map([[3, 0.1], [7, 0.5], [9, -0.6]]);
  const now = turned(Float64Array.of(0.2, -0.5, 0.6), [3, 7, 9], before);
  assert.deepEqual([...now], [[3, -0.2], [7, 0.5], [9, -0.6]]);
});

test("the holder with the lowest index begins on the right", () => {
  const now = turned(Float64Array.of(0.6, -0.5), [7, 3], new Map());
  assert.deepEqual([...now], [[7, -0.6], [3, 0.5]]);
});

test("sides of a round are the same whichever round was shown before", () => {
  const rounds = [1, 2];
  const grams = blocks.slice(0, 2).map(gramOf);
  const seen = (round: number) => ({ gram: grams[round - 1]!, holders: blocks[round - 1]!.holders });
  const jumped = new Sides().at(rounds, 2, seen);
  const walked = new Sides();
  walked.at(rounds, 1, seen);
  assert.deepEqual(walked.at(rounds, 2, seen), jumped);
  const kept = blocks[0]!.holders.filter(
    (holder) => new Sides().at(rounds, 1, seen).get(holder)! * jumped.get(holder)! > 0,
  );
  assert.ok(kept.length >= 10, `${kept.length} of 20 holders stayed on their side`);
});

test("of equal cosines the message with the smaller id is kept", () => {
  const withSum = [0.2, 0.9, 0.9, 0.9];
  assert.deepEqual(ranking(withSum), [1, 2, 3, 0]);
  assert.deepEqual(keptOf(ranking(withSum), 2), [false, true, true, false]);
  assert.ok(isCloseCut(withSum, ranking(withSum), 2));
  assert.ok(!isCloseCut(withSum, ranking(withSum), 3));
  assert.ok(!isCloseCut(withSum, ranking(withSum), 4));
});

test("the edge of the cone lies midway in angle, and dragging it there keeps the same number", () => {
  const withSum = [1, 0, -1];
  near(degrees(cutOf(withSum, [0, 1, 2], 1)), 45, 1e-9);
  near(degrees(cutOf(withSum, [0, 1, 2], 2)), 135, 1e-9);
  assert.equal(cutOf(withSum, [0, 1, 2], 3), -1);
  for (const keep of [1, 2, 3]) assert.equal(keepAt(withSum, cutOf(withSum, [0, 1, 2], keep)), keep);
  assert.equal(keepAt([0.5, 0.4], 0.9), 1);
});

test("factors and counts are those of the format", () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.deepEqual(factorsOf([1, 2, 9], "median_clip"), [1, 2, 2]);
  assert.deepEqual(factorsOf([1, 2, 9], "unit"), [1, 1, 1]);
  assert.deepEqual(factorsOf([1, 2, 9], "restore"), [1, 2, 9]);
  assert.deepEqual(countsOf([1, 4, 20], "capped"), [1, 4, 4]);
  assert.deepEqual(countsOf([1, 4, 20], "equal"), [1, 1, 1]);
  assert.deepEqual(sharesOf([true, true, false], [0, 0, 5]), [0.5, 0.5, 0]);
});

test("a zero message has no direction", () => {
  const gram = readGram(new Uint8Array(4), [1, 0])!;
  assert.deepEqual([...gram.cosines], [1, 0, 0, 0]);
  assert.equal(cosineOf(gram, [0, 1], [1, 0]), null);
  assert.equal(readGram(new Uint8Array(5), [1, 0]), null);
});

test("a rule is read as the compass can show it", () => {
  const as = (rule: { kind: string; [key: string]: unknown }) => reading(rule).as;
  assert.equal(as({ kind: "l_nearest", keep: 4, first: [] }), "nearest");
  assert.equal(as({ kind: "l_nearest", keep: 4, first: [{ kind: "nnm" }] }), "score");
  assert.equal(as({ kind: "mean" }), "all");
  assert.equal(as({ kind: "trimmed_mean" }), "columns");
  assert.equal(as({ kind: "dnc" }), "score");
  assert.equal(reading({ kind: "krum", first: [{ kind: "norm_clipping" }] }).linear, false);
  assert.equal(reading({ kind: "l_nearest", keep: 1, weights: { kind: "records", cap: "median" } }).weights, "capped");
});

test("a message of a replaced block, or of none, is not among those of the round's block", () => {
  const message = (id: string, more: object) => ({ id, block: "new", late: false, cosine: 0.5, ...more }) as MessageRecord;
  const told = [message("c", {}), message("a", {}), message("b", { block: "old" }), message("d", { late: true, cosine: null })];
  assert.deepEqual(inBlockOf(told, "new").map((one) => one.id), ["a", "c"]);
});

/** A round of four messages: two honest, an attacker, and a public root. */
function smallRound(keep: number | null) {
  const message = (id: string, holder: number, cosine: number, more: object = {}) =>
    ({ id, holder, cosine, block: "b", late: false, used: cosine > 0.5, share: 0.5, norm: 1, score: cosine, reason: "", attack: "", members: 1, ...more }) as MessageRecord;
  const messages = [message("a", 0, 0.9), message("b", 1, 0.2), message("c", 2, 0.8, { attack: "flip" }), message("d", 3, 0.1, { members: 0 })];
  const run = { rule: { kind: "l_nearest", keep: 2 }, noise_norm: [0.5, null], groups: false } as unknown as RunRecord;
  const round = { block: "b", messages: 4, used: 2, byzantine: 1, root: 1 } as RoundRecord;
  const unit = btoa(String.fromCharCode(...new Uint8Array(Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6).buffer)));
  const gram = { ids: ["a", "b", "c", "d"], norms: [1, 1, 1, 1], records: [1, 1, 1, 0], cosines: unit } as GramRecord;
  return viewOf(run, round, messages, gram, keep);
}

test("a view counts attackers and honest senders, and a public root as neither", () => {
  const view = smallRound(null);
  const { attackers, attackersUsed, honest, honestUsed, moved } = view;
  assert.deepEqual({ attackers, attackersUsed, honest, honestUsed, moved }, { attackers: 1, attackersUsed: 1, honest: 2, honestUsed: 1, moved: false });
  assert.deepEqual([...view.mean!.parts], [0.5, 0.5, 0, 0]);
});

test("another number to keep changes fates and shares, the chain's own number changes nothing", () => {
  const other = smallRound(3);
  assert.deepEqual(other.rows.map((row) => row.used), [true, true, true, false]);
  assert.ok(other.rows.every((row) => !row.used || Math.abs(row.share - 1 / 3) < 1e-12));
  assert.equal(other.moved, true);
  assert.deepEqual(smallRound(2), smallRound(null));
});
