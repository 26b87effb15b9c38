import assert from "node:assert/strict";
import { test } from "node:test";
import { attackSpans, marksOf, placed } from "../src/marks";
import { madeRound } from "./made";

const told = [
  madeRound(1),
  madeRound(2, { byzantine: 2 }),
  madeRound(3, { byzantine: 1, stale_blocks: 1 }),
  madeRound(4, { stale_blocks: 1, reorganisations: 1 }),
  madeRound(5, { byzantine: 1, stale_blocks: 1, reorganisations: 1 }),
];

test("attacks are spans of rounds with messages of attackers", () => {
  assert.deepEqual(attackSpans(told), [[2, 3], [5, 5]]);
});

test("marks stand where a count rises, and attacks only with truth", () => {
  const seen = (truth: boolean) => marksOf(told, [], new Set([1]), truth)
    .map((mark) => `${mark.kind} ${mark.round}`);
  assert.deepEqual(seen(true), ["reorganised 1", "attack 2", "stale 3", "reorganised 4", "attack 5"]);
  assert.ok(!seen(false).some((mark) => mark.startsWith("attack")));
});

test("marks at one place stand beside each other, and a kind stands there once", () => {
  const marks = [
    { kind: "stale", round: 1 }, { kind: "reorganised", round: 1 }, { kind: "stale", round: 2 },
  ] as const;
  const found = placed(marks, (round) => round);
  assert.equal(found.length, 2);
  assert.notEqual(found[0]!.x, found[1]!.x);
});
