// The parts of the verifier that have published values, or of which a wrong one would be plausible.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ascii, fromHex, hex, Reader, sha, unsigned, Wrong } from "../src/chain/bytes";
import { readCanonical } from "../src/chain/canonical";
import { LOW_255, ORDER } from "../src/chain/curve";
import { PRIME } from "../src/chain/field";
import { rootOfProof, treeRoot } from "../src/chain/merkle";
import { search } from "../src/chain/mine";
import { exponentOf, median, order, squareSum, timesPower, toWhole, wholeSum } from "../src/chain/numbers";
import { ofSmallOrder, signerOf, signs } from "../src/chain/signatures";
import { adapted, compactOf, targetOf, workOf } from "../src/chain/work";

const leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"].map(fromHex);

test("roots of Merkle trees are those of the test vectors of RFC 6962's reference code", () => {
  const roots = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  ];
  roots.forEach((root, at) => assert.equal(hex(treeRoot(leaves.slice(0, at + 1))), root));
  assert.equal(hex(treeRoot(leaves)), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
  assert.equal(hex(treeRoot([])), hex(sha(new Uint8Array())));
});

test("a proof leads to the root from its own leaf alone, and has exactly the hashes that it needs", () => {
  const [a, b, c] = leaves as [Uint8Array, Uint8Array, Uint8Array];
  const left = treeRoot([a, b]), proof = { index: 2n, size: 3n, path: [left] };
  assert.equal(hex(rootOfProof(c, proof)), hex(treeRoot([a, b, c])));
  assert.throws(() => rootOfProof(c, { ...proof, path: [] }), /too few/);
  assert.throws(() => rootOfProof(c, { ...proof, path: [left, left] }), /too many/);
  assert.throws(() => rootOfProof(c, { ...proof, index: 3n }), /no leaf/);
});

test("signatures are those of RFC 8032", () => {
  const secret = fromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const key = fromHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const signature = fromHex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  const text = Uint8Array.of(0x72), signer = signerOf(secret);
  assert.equal(hex(signer.publicKey), hex(key));
  assert.equal(hex(signer.sign(text)), hex(signature));
  assert.ok(signs(key, signature, text));
  assert.ok(!signs(key, signature, Uint8Array.of(0x73)));
  for (let at = 0; at < 64; at += 7) assert.ok(!signs(key, signature.map((byte, k) => (k === at ? byte ^ 1 : byte)), text));
});

test("an S of the group's order more is no second signature", () => {
  const signer = signerOf(sha(ascii("key"))), text = ascii("text"), signature = signer.sign(text);
  const s = BigInt(`0x${hex(signature.slice(32).reverse())}`) + ORDER;
  const other = Uint8Array.from([...signature.slice(0, 32), ...unsigned(s, 32).reverse()]);
  assert.ok(signs(signer.publicKey, signature, text));
  assert.ok(!signs(signer.publicKey, other, text));
});

test("a key of small order signs nothing, in whatever spelling", () => {
  for (const y of [0n, 1n, PRIME - 1n, PRIME, PRIME + 1n]) {
    for (const sign of [0n, 1n]) assert.ok(ofSmallOrder(unsigned(y | (sign << 255n), 32).reverse()));
  }
  const one = unsigned(1n, 32).reverse();
  assert.ok(!signs(one, Uint8Array.from([...one, ...new Uint8Array(32)]), ascii("any text")));
  assert.ok(!ofSmallOrder(signerOf(sha(ascii("key"))).publicKey));
  assert.ok(LOW_255 > PRIME);
});

test("targets have one compact form", () => {
  assert.equal(targetOf(0x1d00ffff), 0xffffn << 208n);
  assert.equal(compactOf(0xffffn << 208n), 0x1d00ffff);
  assert.equal(compactOf(0x80n), 0x02008000); // the sign bit takes another byte
  assert.equal(workOf(0x1d00ffff), 0x100010001n);
  for (const bits of [0x1d800000, 0, 0x01000000, 0x23000001]) assert.throws(() => targetOf(bits), Wrong);
});

test("a target is adapted by at most four times, and never above the easiest", () => {
  const [bits, easiest] = [0x1c00ffff, 0x1d00ffff];
  assert.equal(adapted(bits, 1000n, 1000n, easiest), bits);
  assert.equal(adapted(bits, 1n, 1000n, easiest), compactOf(targetOf(bits) / 4n));
  assert.equal(adapted(bits, 10n ** 9n, 1000n, easiest), compactOf(targetOf(bits) * 4n));
  assert.equal(adapted(easiest, 10n ** 9n, 1000n, easiest), easiest);
});

test("only the one text of a value is read", () => {
  const read = (text: string) => readCanonical(new TextEncoder().encode(text), "text");
  assert.deepEqual(read('{"a":[1e+21,0.5,"é"],"b":null}'), { a: [1e21, 0.5, "é"], b: null });
  const others = ['{"b":1,"a":2}', '{"a":1,"a":1}', '{"a": 1}', "1.0", "-0", "1e2", '"\\u0041"', '"\\ud800"', "9007199254740993", "\ufeff1", `${"[".repeat(33)}${"]".repeat(33)}`];
  for (const text of others) assert.throws(() => read(text), Wrong, text);
  assert.throws(() => readCanonical(Uint8Array.of(34, 0xff, 34), "text"), /UTF-8/);
});

test("sums of squares are rounded once", () => {
  assert.equal(squareSum(Float64Array.of(2 ** 27, 1, 1, 1, 1)), 2 ** 54 + 4); // one after the other all ones are lost
  assert.equal(squareSum(Float64Array.of(2 ** 27, 1, 1)), 2 ** 54); // a half goes to the even number
  assert.equal(squareSum(Float64Array.of(2 ** 27, 1, 1, 2 ** -30)), 2 ** 54 + 4); // a little more does not
  assert.equal(squareSum(Float64Array.of(1e200, 1)), Infinity);
});

test("sums of whole numbers are exact beyond 2^53, and rounded once", () => {
  assert.equal(wholeSum(Float64Array.of(2 ** 53, 1, 1, 1)), 2 ** 53 + 4);
  assert.equal(wholeSum(Float64Array.of(2 ** 52, 2 ** 52, 1, 1)), 2 ** 53 + 2);
});

test("a half is rounded to the even whole number, and a zero keeps its sign", () => {
  assert.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5, 0.3, -0.3].map(toWhole), [0, 2, 2, -0, -2, 0, -0]);
});

test("exponents and powers of two are exact down to the smallest number", () => {
  assert.deepEqual([1, 0.5, 0.75, 8, 5e-324, 0, Infinity].map(exponentOf), [1, 0, 0, 4, -1073, 0, 0]);
  assert.equal(timesPower(5e-324, 1074), 1);
  assert.equal(timesPower(1.5, -1), 0.75);
});

test("equal values keep their order, and the median of an even number is a mean", () => {
  assert.deepEqual(order([2, 1, NaN, 1, -0, 0]), [4, 5, 1, 3, 0, 2]);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test("a reader takes nothing beyond the end", () => {
  const read = new Reader(Uint8Array.of(0, 0, 0, 9, 1), "text");
  assert.throws(() => read.piece(4, 100, "a piece"), /1 bytes are left/);
  assert.throws(() => new Reader(Uint8Array.of(255, 255, 255, 255), "text").piece(4, 100, "a piece"), /at most 100/);
});

test("mining finds the first nonce whose hash meets the target", () => {
  const header = new Uint8Array(264), target = fromHex("0fff".padEnd(64, "f"));
  const nonce = search(header, target, 0, 1000)!;
  const hashed = (tried: number) => hex(sha(sha(Uint8Array.from([...header.slice(0, 256), ...unsigned(tried, 8)]))));
  assert.ok(hashed(nonce).startsWith("0"));
  for (let tried = 0; tried < nonce; tried++) assert.ok(!hashed(tried).startsWith("0"));
  assert.equal(search(header, new Uint8Array(32), 0, 50), null);
});
