import assert from "node:assert/strict";
import { test } from "node:test";
import { baselinesOf, epsilonWords, measured, scoreWords } from "../src/summary";
import { madeRound, madeRun, roundsOf } from "./made";

test("the best baseline is the highest score, or the lowest loss", () => {
  assert.deepEqual(baselinesOf(madeRun(), "iou").map((it) => it.name), ["keep everything", "morphology"]);
  assert.deepEqual(baselinesOf(madeRun(), "loss").map((it) => it.name), ["morphology", "keep everything"]);
});

test("a score stands beside its baseline; while it is measured, the page says so", () => {
  assert.equal(scoreWords(madeRun(), madeRound(4)), "IoU .400 (keep everything: .200)");
  assert.equal(scoreWords(madeRun(), null), "measuring IoU …");
});

test("epsilon stands beside its budget, and where there is none that is said", () => {
  assert.equal(epsilonWords(madeRun(), madeRound(4)), "ε\u00a04.00 of 8");
  assert.equal(epsilonWords(madeRun({ epsilon_budget: null }), madeRound(4)), "ε\u00a04.00");
  assert.equal(epsilonWords(madeRun(), madeRound(4, { epsilon: null })), "no privacy guarantee");
});

test("the score of a round is the last one that was measured until then", () => {
  const rounds = roundsOf(madeRound(1), madeRound(2), madeRound(3, { metrics: {} }));
  assert.equal(measured(rounds, [1, 2, 3], 3, "iou")!.round, 2);
  assert.equal(measured(rounds, [1, 2, 3], 1, "iou")!.round, 1);
  assert.equal(measured(rounds, [1, 2, 3], 0, "iou"), null);
});
