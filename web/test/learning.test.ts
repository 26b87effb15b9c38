import assert from "node:assert/strict";
import { test } from "node:test";
import { apart, axisOf, curveOf, placeOn } from "../src/panels/learning/curve";
import { madeRound, roundsOf } from "./made";

test("a curve has the rounds in which the metric was measured", () => {
  const rounds = roundsOf(madeRound(1), madeRound(2, { metrics: { iou: null } }), madeRound(3, { metrics: {} }));
  assert.deepEqual(curveOf(rounds, [1, 2, 3], "iou"), [{ round: 1, value: 0.1 }]);
});

test("the axis fits the data: a near baseline is on it, a far one beyond its edge", () => {
  const curve = [{ round: 1, value: 0.9 }, { round: 2, value: 1 }];
  const axis = axisOf([curve], [{ name: "near", value: 0.85 }, { name: "far", value: 0.2 }]);
  assert.ok(axis.low < 0.85 && axis.low > 0.8);
  assert.equal(placeOn(axis, 0.85), "within");
  assert.equal(placeOn(axis, 0.2), "below");
  assert.equal(placeOn(axis, 5), "above");
});

test("a flat curve and one without values still have an axis", () => {
  const flat = axisOf([[{ round: 1, value: 0.5 }]], []);
  assert.ok(flat.low < 0.5 && flat.high > 0.5);
  const empty = axisOf([[]], []);
  assert.ok(empty.low < empty.high);
});

test("labels keep their distance, and the first stays where it was", () => {
  const found = apart([50, 49, 51, 10], 15, 0, 200);
  assert.deepEqual(found, [50, 35, 65, 10]);
});

test("labels stay in the picture", () => {
  const found = apart([99, 98, 97], 15, 0, 100);
  assert.ok(found.every((at) => at >= 0 && at <= 100));
  const order = [...found].sort((one, other) => one - other);
  assert.ok(order[1]! - order[0]! >= 15 && order[2]! - order[1]! >= 15);
});
