import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DOT, isUpper, labelled, onRim, onStrip, polar, sector, shaft, spread, ticksOf,
} from "../src/panels/compass/geometry";
import { shownRows } from "../src/panels/compass/rows";

const angleOf = ({ x, y }: { x: number; y: number }) => (Math.atan2(x, -y) * 180) / Math.PI;

test("every dot lies at its exact angle, and no two overlap", () => {
  const marks = Array.from({ length: 12 }, (_, index) => ({ index, at: -20 + index * 4 }));
  const { dots, more } = onRim(marks, 150);
  assert.equal(dots.length, 12);
  assert.equal(more.length, 0);
  for (const dot of dots) assert.ok(Math.abs(angleOf(dot) - marks[dot.index]!.at) < 1e-9);
  for (const a of dots) {
    for (const b of dots) assert.ok(a === b || Math.hypot(a.x - b.x, a.y - b.y) >= 2 * DOT + 1);
  }
});

test("dots stack five deep, those that come first nearest to the rim, and the rest are counted", () => {
  const marks = Array.from({ length: 11 }, (_, index) => ({ index, at: 30 }));
  const { dots, more } = onRim(marks, 150);
  assert.deepEqual(dots.map((dot) => dot.index), [0, 1, 2, 3, 4]);
  assert.deepEqual(more.map((one) => one.count), [6]);
});

test("dots of a strip stand at their exact x", () => {
  const { dots } = onStrip([{ index: 0, at: 40 }, { index: 1, at: 41 }], 100);
  assert.deepEqual(dots.map((dot) => dot.x), [40, 41]);
  assert.ok(dots[1]!.y < dots[0]!.y && dots[0]!.y < 100);
});

test("angles grow to the right from straight up", () => {
  const right = polar(90, 10);
  assert.ok(Math.abs(right.x - 10) < 1e-9 && Math.abs(right.y) < 1e-9);
});

test("labels lie within the bounds, a line apart, in the order of their dots", () => {
  assert.deepEqual(spread([50, 51, 52], 0, 100), [50, 66, 82]);
  assert.deepEqual(spread([99, 98, 97], 0, 100), [100, 84, 68]);
  assert.deepEqual(spread([-30, -40], 0, 100), [16, 0]);
});

test("a label stands on the side of its dot, and those that come first keep their place", () => {
  const dots = [0, 1, 2, 3].map((index) => ({ index, x: index ? 9 : -9, y: 5, text: `h${index}` }));
  const made = labelled(dots, 100, 0, 20);
  assert.deepEqual(made.map((one) => [one.text, one.x]), [["h0", -100], ["h1", 100], ["h2", 100]]);
});

test("the wheel is cut only where no cosine is below -.25", () => {
  assert.ok(isUpper([0.9, -0.25]));
  assert.ok(!isUpper([0.9, -0.26]));
});

test("a cone of more than 90 degrees takes the large arc", () => {
  assert.match(sector(60, 10), /A10 10 0 0 1/);
  assert.match(sector(120, 10), /A10 10 0 1 1/);
});

test("a shaft is solid to the median circle, and ends at the rim", () => {
  assert.deepEqual(shaft(0.5, 1, 100), { solid: 35, dotted: 0 });
  const long = shaft(1000, 1, 100);
  assert.ok(Math.abs(long.solid - 70) < 1e-9 && Math.abs(long.dotted - 30) < 1e-9);
});

test("ticks are round numbers within the axis", () => {
  assert.deepEqual(ticksOf(-1, 1, 4), [-1, -0.5, 0, 0.5, 1]);
  assert.deepEqual(ticksOf(0, 0.23, 6).map((tick) => Number(tick.toFixed(9))), [0, 0.05, 0.1, 0.15, 0.2]);
});

test("a long ranking shows its ends, the cut, and what must be seen, and counts the rest", () => {
  const entries = shownRows(100, 50, (rank) => rank === 70);
  const ranks = entries.flatMap((entry) => ("rank" in entry ? [entry.rank] : []));
  assert.deepEqual(ranks, [0, 1, 2, 3, 4, ...Array.from({ length: 24 }, (_, at) => 38 + at), 70, 95, 96, 97, 98, 99]);
  const more = entries.reduce((total, entry) => total + ("more" in entry ? entry.more : 0), 0);
  assert.equal(ranks.length + more, 100);
  assert.equal(shownRows(60, 50, () => false).length, 60);
});
