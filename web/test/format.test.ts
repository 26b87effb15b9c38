import assert from "node:assert/strict";
import { test } from "node:test";
import { epsilon, plain, scientific, share, three, whole } from "../src/format";

test("a share has three digits and no zero before the point", () => {
  assert.equal(share(0.67249), ".672");
  assert.equal(share(-0.85), "−.850");
  assert.equal(share(1), "1");
  assert.equal(share(0), "0");
  assert.equal(share(1.25), "1.250");
  assert.equal(share(-0.0001), "0");
  assert.equal(share(null), "–");
});

test("other numbers have three digits that count", () => {
  assert.equal(three(0.0384), ".0384");
  assert.equal(three(12.34), "12.3");
  assert.equal(three(2035), "2,035");
  assert.equal(three(1e-5), "1e-5");
  assert.equal(three(-2.5e-7), "−2.5e-7");
});

test("a power of ten is written without zeros in its exponent", () => {
  assert.equal(scientific(1e-5), "1e-5");
});

test("epsilon has two decimals, its budget those that were asked", () => {
  assert.equal(epsilon(7.5466), "7.55");
  assert.equal(plain(8), "8");
  assert.equal(plain(0.5), ".5");
});

test("thousands stand apart", () => {
  assert.equal(whole(10000), "10,000");
});
