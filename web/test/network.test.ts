import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, duration, flying, summary } from "../src/panels/network/flight";
import { between, layoutOf } from "../src/panels/network/layout";
import type { RefusalRecord, TripRecord } from "../src/records";

const message: TripRecord = {
  is: "trip", round: 1, id: "aa", what: "message", sender: "h3", left_s: 1, arrivals: [["c0", 2], ["c1", 5]],
};
const block: TripRecord = { ...message, id: "bb", what: "block", sender: "c0", left_s: 6, arrivals: [["c1", 6.5]] };

test("a message is on its way from leaving to each arrival", () => {
  const at = (now: number) => flying([message], now).map(({ to, share }) => [to, share]);
  assert.deepEqual(at(0.9), []);
  assert.deepEqual(at(1.5), [["c0", 0.5], ["c1", 0.125]]);
  assert.deepEqual(at(3), [["c1", 0.5]]);
  assert.deepEqual(at(5), []);
});

test("a node shows what reached it a moment ago, and what it refused", () => {
  const refusal = { node: 1, id: "bb", reason: "work" } as RefusalRecord;
  assert.deepEqual(arrived([message, block], [refusal], 6.6, 0.2), [{ node: "c1", refused: true }]);
  assert.deepEqual(arrived([message, block], [], 2.1, 0.2), [{ node: "c0", refused: false }]);
  assert.deepEqual(arrived([message, block], [], 2.3, 0.2), []);
});

test("a trip takes until its last arrival", () => {
  assert.equal(duration(message), 4);
  assert.deepEqual(summary([message, block], "block"), { count: 1, slowest: 0.5 });
  assert.equal(summary([message], "block"), null);
});

test("without places the nodes stand on two circles, and many holders become ticks", () => {
  const few = layoutOf(new Map(), 1, 60, 100);
  assert.deepEqual(few.spots.get("c0"), { x: 50, y: 50 });
  assert.deepEqual([few.spots.get("h0")!.x, few.spots.get("h0")!.y].map(Math.round), [50, 5]);
  assert.equal(few.ticks, false);
  assert.equal(layoutOf(new Map(), 1, 61, 100).ticks, true);
});

test("half of the way is in the middle", () => {
  assert.deepEqual(between({ x: 0, y: 2 }, { x: 10, y: 4 }, 0.5), { x: 5, y: 3 });
});

test("compute nodes alone take the room of the holders", () => {
  const { spots } = layoutOf(new Map(), 2, 0, 100);
  assert.deepEqual([...spots.values()].map(({ x, y }) => [Math.round(x), Math.round(y)]), [[50, 5], [50, 95]]);
});
