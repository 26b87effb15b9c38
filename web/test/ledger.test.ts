// The ledger panel without a page: where blocks stand, what a change does, where keys go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIELDS, hashOf, readHeader } from "../src/chain/block";
import { ascii, type Bytes, fromHex, hex, joined, sha, unsigned } from "../src/chain/bytes";
import { CHECKS, type Marks } from "../src/chain/light";
import { treeRoot } from "../src/chain/merkle";
import type { Rules } from "../src/chain/rules";
import { signerOf } from "../src/chain/signatures";
import { moved } from "../src/panels/ledger/bytes";
import { type Block, claimed, type Copy, hashIn, marksOf, sealedBy, standings, withByte, withField } from "../src/panels/ledger/copy";
import { grow, neighbour, seen } from "../src/panels/ledger/tree";

const leaf = (hash: string, parent: string, height: number, main = true) => ({ hash, parent, height, main });
const FORKED = [
  leaf("g", "", 0), leaf("a", "g", 1), leaf("b", "a", 2), leaf("c", "b", 3),
  leaf("x", "g", 1, false), leaf("y", "x", 2, false), leaf("z", "a", 2, false), leaf("w", "b", 3, false),
];

test("the main chain is the first lane, a stale branch keeps its lane, and lanes are used again", () => {
  const { places, lanes } = grow(FORKED), lane = (hash: string) => places.get(hash)!.lane;
  assert.deepEqual(["g", "a", "b", "c"].map(lane), [0, 0, 0, 0]);
  assert.equal(lane("x"), lane("y"));
  assert.notEqual(lane("z"), lane("y"));
  assert.ok(lane("w") > 0);
  assert.equal(lanes, 3);
});

test("arrows go along parents and children, and to the blocks of the same height", () => {
  const grown = grow(FORKED), go = (hash: string, key: string) => neighbour(grown, hash, key);
  assert.equal(go("b", "ArrowLeft"), "a");
  assert.equal(go("a", "ArrowRight"), "b");
  assert.equal(go("b", "ArrowDown"), "y");
  assert.equal(go("y", "ArrowUp"), "b");
  assert.equal(go("g", "ArrowLeft"), "g");
  assert.deepEqual([go("b", "Home"), go("b", "End")], ["g", "c"]);
});

test("only the columns in sight are drawn", () => {
  const [first, last] = seen(118 * 5000, 1180, 10_000);
  assert.ok(first >= 4998 && last <= 5011 && last - first >= 10);
});

const GENESIS = sha(ascii("genesis")), NODE = signerOf(sha(ascii("node"))), READER = signerOf(sha(ascii("reader")));
const RULES = { rounds: 9, maxAheadMs: 5000, sampled: false } as Rules;
const GROUND = { rules: RULES, chainId: GENESIS, rulesHash: sha(ascii("rules")) };
const EASY = 0x207fffff; // every second hash

function blockOn(parent: Bytes, height: number): Block {
  const contents = [sha(ascii(`message ${height}`))];
  const start = joined(ascii("fedchain:h"), unsigned(2, 2), GENESIS, unsigned(height, 8), parent, unsigned(1000 * height, 8), unsigned(EASY, 4));
  const raw = joined(start, sha(NODE.publicKey), treeRoot(contents), sha(ascii(`w${height}`)), sha(ascii("m")), GROUND.rulesHash, unsigned(0, 8));
  const { bytes, key, signature } = mined(raw, NODE);
  return { hash: hex(hashOf(bytes)), parent: hex(parent), height, main: true, bytes, key, signature, arrivedMs: 1000 * height, contents, messages: 1 };
}

function mined(raw: Bytes, signer = READER) {
  for (let nonce = 0; ; nonce++) if (hashOf(withField(raw, "nonce", unsigned(nonce, 8)))[0]! < 0x7f) return sealedBy(raw, nonce, signer);
}

const RIGHT = Object.fromEntries(CHECKS.map((name) => [name, { holds: true, whole: true, reason: "" }])) as Marks;

function chain(length: number): Block[] {
  const blocks: Block[] = [];
  for (let height = 1; height <= length; height++) blocks.push(blockOn(height > 1 ? hashOf(blocks.at(-1)!.bytes) : GENESIS, height));
  return blocks;
}

function look(blocks: Block[], copy: Copy) {
  const marks = (block: Block) => {
    const below = blocks.find(({ hash }) => hash === block.parent);
    return marksOf(copy, block, { hash: below ? hashIn(copy, below) : hex(GENESIS), medianMs: 1000n * BigInt(block.height - 1) }, RIGHT, GROUND);
  };
  const known = new Map(blocks.map(({ hash }) => [hash, RIGHT]));
  const stands = standings(blocks, copy, known, marks);
  return { marks, stands: blocks.map(({ hash }) => stands.get(hash)!) };
}

const holds = (marks: Marks) => CHECKS.map((name) => marks[name].holds);

test("one bit of a model breaks its block and all above, and cuts the link to the next", () => {
  const blocks = chain(4), copy = withByte(new Map(), blocks[1]!, 191, blocks[1]!.bytes[191]! ^ 1);
  const { marks, stands } = look(blocks, copy);
  assert.deepEqual(stands.map(({ standing }) => standing), ["fine", "broken", "above", "above"]);
  assert.deepEqual(stands.map(({ linked }) => linked), [true, true, false, true]);
  const [, parent, messages, model, signature] = holds(marks(blocks[1]!));
  assert.deepEqual([parent, messages, model, signature], [true, true, false, false]);
});

test("the same bit again is no change", () => {
  const [block] = chain(1), once = withByte(new Map(), block!, 191, block!.bytes[191]! ^ 1);
  assert.equal(withByte(once, block!, 191, block!.bytes[191]!).size, 0);
});

test("mined again and signed, only the model is wrong; mined above, all links hold and it still is", () => {
  const blocks = chain(3), bent = withByte(new Map(), blocks[0]!, 191, blocks[0]!.bytes[191]! ^ 1).get(blocks[0]!.hash)!;
  const copy = new Map([[blocks[0]!.hash, mined(claimed(bent.bytes, READER))]]);
  assert.deepEqual(holds(look(blocks, copy).marks(blocks[0]!)), [true, true, true, false, true]);
  for (const block of blocks.slice(1)) {
    const below = blocks.find(({ hash }) => hash === block.parent)!;
    copy.set(block.hash, mined(claimed(withField(block.bytes, "parent", fromHex(hashIn(copy, below))), READER)));
  }
  const { marks, stands } = look(blocks, copy);
  assert.ok(stands.every(({ linked }) => linked));
  assert.deepEqual(stands.map(({ standing }) => standing), ["broken", "above", "above"]);
  for (const block of blocks.slice(1)) assert.deepEqual(holds(marks(block)), [true, true, true, true, true]);
});

test("a block that is mined again unchanged holds, but the next one names another parent", () => {
  const blocks = chain(2), copy = new Map([[blocks[0]!.hash, mined(claimed(blocks[0]!.bytes, READER))]]);
  const { stands } = look(blocks, copy);
  assert.deepEqual(stands, [{ standing: "fine", linked: true }, { standing: "broken", linked: false }]);
});

test("every field that is changed fails a check of its own", () => {
  const blocks = chain(2);
  for (const [field, start] of FIELDS) {
    const { marks } = look(blocks, withByte(new Map(), blocks[1]!, start, blocks[1]!.bytes[start]! ^ 1));
    assert.ok(holds(marks(blocks[1]!)).includes(false), field);
    const wanted = { messages_root: "messages", weights_hash: "model", memory_hash: "model", parent: "parent", height: "parent", chain_id: "parent", rules_hash: "parent", version: "parent", bits: "work", address: "signatures" }[field as string];
    if (wanted) assert.equal(marks(blocks[1]!)[wanted as "work"].holds, false, field);
  }
});

test("a header has thirteen fields without a gap, and arrows keep the place in a row", () => {
  assert.equal(FIELDS.length, 13);
  FIELDS.reduce((at, [, start, size]) => (assert.equal(start, at), at + size), 0);
  assert.equal(readHeader(chain(1)[0]!.bytes).height, 1n);
  assert.equal(moved(199, "ArrowDown"), 231); // memory to rules
  assert.equal(moved(231, "ArrowDown"), 256 + 7); // the nonce is shorter
  assert.deepEqual([moved(0, "ArrowLeft"), moved(263, "ArrowRight"), moved(70, "Home"), moved(70, "End")], [0, 263, 52, 83]);
});
