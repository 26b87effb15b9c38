import assert from "node:assert/strict";
import { test } from "node:test";
import { guaranteeLines } from "../src/panels/privacy/guarantee";
import { noisePart, noiseShare } from "../src/panels/privacy/noise";
import type { Privacy } from "../src/records";
import { madeMessage } from "./made";

test("noise and norm are medians over the holders whose noise is known", () => {
  const messages = [
    madeMessage(1, { holder: 0, norm: 5 }), madeMessage(1, { holder: 1, norm: 3 }),
    madeMessage(1, { holder: 2, norm: 100 }), madeMessage(1, { holder: 3, norm: 4 }),
  ];
  const part = noisePart(messages, [3, 1, null, 2])!;
  assert.deepEqual(part, { round: 1, noise: 2, norm: 4 });
  assert.equal(noiseShare(part), 0.25);
});

test("without a known noise there is nothing to show", () => {
  assert.equal(noisePart([madeMessage(1)], [null]), null);
});

test("a message that is shorter than its noise is all noise", () => {
  assert.equal(noiseShare({ round: 1, noise: 2, norm: 1 }), 1);
});

const statement: Privacy = {
  guarantee: "..", warnings: [], tuning: "", mechanism: "gaussian", unit: "record", record: "scan",
  clip: 0.1, delta: 1e-5, noise_multiplier: 1.7, groups: null, epsilon_per_release: 2.395,
  epsilon_total: 6.732, epsilon_replaced: 15.9, releases: [6, 5], releases_allowed: 8,
  on_exhausted: "leave", worst_holder: 0,
};

test("the guarantee has five lines with the numbers of the statement", () => {
  const lines = guaranteeLines(statement);
  assert.equal(lines.length, 5);
  assert.equal(lines[0]!.words, "each scan of an honest data holder");
  assert.equal(lines[1]!.words, "ε\u00a06.73 at δ\u00a01e-5, over 6 releases of ε\u00a02.40 each");
  assert.match(lines[3]!.words, /clip to \.1 /);
});

test("a whole holder as the unit is said, and a missing total says nothing", () => {
  assert.equal(guaranteeLines({ ...statement, unit: "holder" })[0]!.words, "each honest data holder as a whole");
  assert.deepEqual(guaranteeLines({ ...statement, epsilon_total: null }), []);
});
