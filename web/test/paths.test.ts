import assert from "node:assert/strict";
import { test } from "node:test";
import { areaPath, linePath } from "../src/parts/paths";

test("a line goes through its points in order", () => {
  assert.equal(linePath([[0, 1], [2.04, 3]]), "M0.0 1.0L2.0 3.0");
  assert.equal(linePath([]), "");
});

test("an area goes forth on one line and back on the other", () => {
  assert.equal(areaPath([[0, 1], [2, 1]], [[0, 5], [2, 5]]), "M0.0 1.0L2.0 1.0L2.0 5.0L0.0 5.0Z");
  assert.equal(areaPath([], []), "");
});
