import assert from "node:assert/strict";
import { test } from "node:test";
import { greys, GREYS, NOTHING, pathsOf } from "../src/panels/masks/paths";
import { judged, judgedBits, roundOf, scansOf, STATE, zoom } from "../src/panels/masks/pixels";

// Eight pixels, most significant bit first.
const mask = { is: "mask", round: 1, scan: 0, height: 2, width: 4, truth: btoa("\xcc"), kept: btoa("\xaa") } as const;
const picture = { is: "picture", scan: 0, height: 2, width: 4, intensity: "", valid: btoa("\xf0") } as const;

test("pixels without a point are in no state, errors in two of their own", () => {
  const { states, counts } = judged(mask, picture);
  const { kept, wronglyRemoved, wronglyKept, removed } = STATE;
  assert.deepEqual([...states], [kept, wronglyRemoved, wronglyKept, removed, 0, 0, 0, 0]);
  assert.deepEqual(counts, { points: 4, kept: 2, wronglyKept: 1, wronglyRemoved: 1, iou: 1 / 3 });
});

test("the IoU is 1 where nothing should be kept and nothing is", () => {
  assert.equal(judgedBits(new Uint8Array(3), new Uint8Array(3)).counts.iou, 1);
  assert.equal(judgedBits(new Uint8Array(3), Uint8Array.of(1, 0, 0)).counts.iou, 0);
});

test("a round without masks shows those of the last round before", () => {
  const keys = ["0:0", "0:10", "1:20", "0:20"];
  assert.equal(roundOf(keys, 0, 15), 10);
  assert.equal(roundOf(keys, 0, 20), 20);
  assert.equal(roundOf(keys, 1, 15), null);
  assert.deepEqual(scansOf(keys), [0, 1]);
});

test("every pixel of a scan is drawn by a whole number of pixels", () => {
  assert.equal(zoom(32, 300), 9);
  assert.equal(zoom(800, 300), 1);
});

test("equal pixels of a row are one rectangle, and a row never runs into the next", () => {
  const paths = pathsOf([1, 1, 2, 2, 2, 0], 3, 0);
  assert.deepEqual([...paths], [[1, "M0 0h2v1h-2z"], [2, "M2 0h1v1h-1zM0 1h2v1h-2z"]]);
});

test("greys reach from the darkest to the brightest point, and pixels without one have none", () => {
  assert.deepEqual([...greys(Uint8Array.of(10, 60, 255), Uint8Array.of(1, 1, 0))], [0, GREYS - 1, NOTHING]);
  assert.deepEqual([...greys(Uint8Array.of(7, 7), Uint8Array.of(1, 1))], [0, 0]);
});
