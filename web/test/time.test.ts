import assert from "node:assert/strict";
import { test } from "node:test";
import type { TripRecord } from "../src/records";
import { nearestRound, span, stepAt, stepEnds } from "../src/time";
import { madeRound, roundsOf } from "./made";

const rounds = roundsOf(madeRound(1), madeRound(2), madeRound(5));

test("a round lasts from the block that was told before to its own", () => {
  assert.deepEqual(span(rounds, [1, 2, 5], 1), [0, 2]);
  assert.deepEqual(span(rounds, [1, 2, 5], 5), [4, 10]);
  assert.deepEqual(span(rounds, [1, 2, 5], 9), [10, 10]);
});

test("without trips the steps share the round in equal parts", () => {
  assert.deepEqual(stepEnds([6, 12], []), [7, 8, 9, 10, 11, 12]);
});

test("with trips the steps end when the last message left and arrived, and the block did", () => {
  const trip = (what: "message" | "block", left_s: number, at: number): TripRecord => ({
    is: "trip", round: 1, id: `${what}${left_s}`, what, sender: "h0", left_s, arrivals: [["c0", at]],
  });
  const ends = stepEnds([0, 9], [trip("message", 1, 2), trip("message", 2, 3), trip("block", 9, 11)]);
  assert.deepEqual(ends, [2, 3, 5, 7, 9, 11]);
});

test("steps never end before the one before, even if a message arrives after the block", () => {
  const late: TripRecord = {
    is: "trip", round: 1, id: "a", what: "message", sender: "h0", left_s: 1, arrivals: [["c0", 20]],
  };
  const block: TripRecord = { ...late, id: "b", what: "block", left_s: 5, arrivals: [["c1", 6]] };
  const ends = stepEnds([0, 5], [late, block]);
  assert.deepEqual(ends, [...ends].sort((one, other) => one - other));
});

test("a time belongs to the first step that has not ended", () => {
  assert.equal(stepAt([1, 2, 3, 4, 5, 6], 0), 0);
  assert.equal(stepAt([1, 2, 3, 4, 5, 6], 4), 4);
  assert.equal(stepAt([1, 2, 3, 4, 5, 6], 6), 5);
});

test("the nearest told round is shown where one in n is told", () => {
  assert.equal(nearestRound([1, 11, 21], 7), 11);
  assert.equal(nearestRound([1, 11, 21], 5), 1);
  assert.equal(nearestRound([1, 11, 21], 900), 21);
  assert.equal(nearestRound([], 4), 0);
});
