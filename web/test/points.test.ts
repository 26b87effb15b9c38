import assert from "node:assert/strict";
import { test } from "node:test";
import { after, before, cleaned, MARK } from "../src/panels/points/marks";
import { FILL, inside, projected, readCloud, rotation, scored, VIEWS } from "../src/panels/points/projection";
import { bytesOf } from "../src/records";

const bytes = (numbers: number[]) => new Uint8Array(Int16Array.from(numbers).buffer);
const near = (found: ArrayLike<number>, wanted: number[]) =>
  wanted.forEach((one, at) => assert.ok(Math.abs(found[at]! - one) < 1e-5, `${[...Array.from(found)]}`));

test("a cloud is centred, and its farthest point has the length 1", () => {
  const cloud = readCloud(bytes([0, 0, 0, 20, 0, 0, 10, 10, 0]), 0.001);
  assert.equal(cloud.count, 3);
  near([cloud.radius_m], [Math.hypot(10, 5) * 0.001]);
  near([Math.max(...[0, 1, 2].map((at) => Math.hypot(...cloud.places.subarray(3 * at, 3 * at + 3))))], [1]);
});

test("a scan's y points down and its z away: here they are up and to the reader", () => {
  const { places } = readCloud(bytes([0, 0, 0, 0, 2, 4]), 1);
  assert.ok(places[1]! > places[4]! && places[2]! > places[5]!);
});

test("the front shows x and y, the top x and z, the side z and y", () => {
  const one = Float32Array.of(0.5, 0.25, -0.1);
  const flat = (turn: { yaw: number; pitch: number }) => projected(one, turn, 2).map((value) => (value - 1) / FILL);
  near(flat(VIEWS.front), [0.5, -0.25]);
  near(flat(VIEWS.top), [0.5, -0.1]);
  near(flat(VIEWS.side), [0.1, -0.25]);
});

test("a turn is a rotation", () => {
  const rows = rotation({ yaw: 0.7, pitch: -0.4 });
  const dot = (i: number, j: number) => [0, 1, 2].reduce((total, k) => total + rows[3 * i + k]! * rows[3 * j + k]!, 0);
  for (const i of [0, 1, 2]) for (const j of [0, 1, 2]) near([dot(i, j)], [i === j ? 1 : 0]);
});

test("a lasso holds what lies within it, also where it is not convex", () => {
  const lasso = [[0, 0], [10, 0], [10, 10], [5, 2], [0, 10]] as const;
  assert.deepEqual([...inside(lasso, Float32Array.of(1, 1, 5, 5, 9, 5, 11, 1))], [1, 0, 1, 0]);
});

test("a selection is scored against the points that should go", () => {
  const found = scored(Uint8Array.of(1, 1, 0, 0), Uint8Array.of(0, 1, 0, 1));
  assert.deepEqual(found, { chosen: 2, outliers: 1, recall: 0.5, precision: 0.5, iou: 1 / 3 });
  assert.equal(scored(new Uint8Array(2), Uint8Array.of(1, 1)).iou, 1);
});

const record = {
  is: "cloud", scan: 0, round: 9, points: btoa(String.fromCharCode(...bytes([0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0]))),
  scale_m: 1, every: 1, truth: btoa("\xc0"), kept: btoa("\xa0"),
} as const;

const cloudOf = (one: { points: string }) => readCloud(bytesOf(one.points), 1);

test("before the model all points are there, after it what it kept and what it should have kept", () => {
  const one = cleaned(record, cloudOf(record));
  assert.equal(one.round, 9);
  assert.deepEqual([...before(one.truth, null)], [MARK.dot, MARK.dot, MARK.cross, MARK.cross]);
  assert.deepEqual([...after(one, null)], [MARK.dot, MARK.ring, MARK.cross, MARK.none]);
  assert.deepEqual([...after(one, Uint8Array.of(1, 0, 0, 1))], [MARK.dot + MARK.chosen, MARK.ring, MARK.cross, MARK.none]);
});

test("another round keeps what its mask keeps, at every second pixel that holds a point", () => {
  const half = { ...record, every: 2 };
  const picture = { is: "picture", scan: 0, height: 1, width: 9, intensity: "", valid: btoa("\xf7\x80") } as const;
  const mask = { is: "mask", round: 4, scan: 0, height: 1, width: 9, truth: "", kept: btoa("\x05\x00") } as const;
  const one = cleaned(half, cloudOf(half), picture, mask);
  assert.equal(one.round, 4);
  assert.deepEqual([...one.kept], [0, 0, 1, 1]);
  assert.equal(cleaned(record, cloudOf(record), picture, mask).round, 9);
});
