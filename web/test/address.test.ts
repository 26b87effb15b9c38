import assert from "node:assert/strict";
import { test } from "node:test";
import { readHash, writeHash } from "../src/address";

test("an address with every choice is read and written alike", () => {
  const hash = "#r=12&s=2&panel=compass&keep=6&truth=0&presenter=1&theme=dark&over=a+b&keys=0";
  assert.equal(writeHash(readHash(hash)), hash);
});

test("without choices the address is empty", () => {
  assert.equal(writeHash(readHash("")), "");
});

test("what makes no sense is as if nobody had chosen", () => {
  const hash = "#r=-1&s=99&panel=<b>&keep=1e9&truth=maybe&theme=pink";
  assert.equal(writeHash(readHash(hash)), "");
});
