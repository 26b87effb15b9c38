import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { hex } from "../src/chain/bytes";
import { hashOf } from "../src/chain/block";
import { changedBits, flipped, isSet } from "../src/lessons/bits_changed";
import { epsilonsOf, iousAt, meanOf } from "../src/lessons/curves";
import { angleOf, type Arrow, between, playRound } from "../src/lessons/plane";
import { CHECKS, judge, mine, onTopOf, readChain, withFlippedBit } from "../src/lessons/tampered";
import { placedTree } from "../src/lessons/tree_places";
import { bytesOf } from "../src/records";

/** The recorded data of a lesson. */
function recorded(name: string) {
  const file = new URL(`../../fedchain/page/lessons/data/${name}.json.gz`, import.meta.url);
  return JSON.parse(gunzipSync(readFileSync(file)).toString());
}

const chain = readChain(bytesOf(recorded("06_tampering").chain));
const broken = (headers: readonly Uint8Array[]) =>
  judge(chain, headers).flatMap((verdict, at) => CHECKS.filter((check) => !verdict[check]).map((check) => `${check} ${at + 1}`));

function minedFrom(headers: readonly Uint8Array[], from: number, to: number): Uint8Array[] {
  const copy = [...headers];
  for (let at = from; at <= to; at += 1) {
    copy[at] = mine(at > from ? onTopOf(copy[at]!, copy[at - 1]!) : copy[at]!, 0, 10_000_000).done!;
  }
  return copy;
}

test("every check holds of the recorded chain", () => {
  assert.equal(chain.headers.length, 6);
  assert.deepEqual(broken(chain.headers), []);
});

test("a flipped bit breaks the model, the work and the link above, and mining does not mend the model", () => {
  const at = 2;
  const changed = chain.headers.map((header, place) => (place === at ? withFlippedBit(chain, at) : header));
  assert.deepEqual(broken(changed), ["work 3", "model 3", "link 4"]);
  assert.deepEqual(broken(minedFrom(changed, at, at)), ["model 3", "link 4"]);
  assert.deepEqual(broken(minedFrom(changed, at, 5)), ["model 3", "messages 4", "messages 5", "messages 6"]);
});

test("mining counts the nonces that it tried, and gives up after the most", () => {
  const easy = chain.headers[0]!;
  const { done, tries } = mine(easy, 0, 1_000_000);
  assert.equal(hex(hashOf(done!)).slice(0, 3), "000");
  assert.equal(new DataView(done!.buffer).getBigUint64(256), BigInt(tries - 1));
  assert.deepEqual(mine(easy, 0, 1), { done: null, tries: 1 });
});

test("a round played by hand gives the step, the cosines and the choice of the chain", () => {
  const data = recorded("03_round");
  const round = playRound(data.arrows as Arrow[], data.keep);
  assert.deepEqual(round.used, data.used);
  round.cosines.forEach((cosine, at) => assert.ok(Math.abs(cosine - data.cosines[at]) < 1e-4));
  round.step.forEach((value, axis) => assert.ok(Math.abs(value - data.gradient[axis]) < 1e-4));
});

test("angles are measured the short way round", () => {
  assert.equal(between(170, -170), 20);
  assert.equal(angleOf([0, 2]), 90);
});

test("a flipped bit is one bit, and bits are counted from the highest of the first byte", () => {
  const bytes = Uint8Array.of(0, 255);
  assert.equal(changedBits(bytes, flipped(bytes, 1, 3)), 1);
  assert.deepEqual([...flipped(bytes, 0, 7)], [128, 255]);
  assert.deepEqual([isSet(bytes, 7), isSet(bytes, 8)], [false, true]);
});

test("blocks of a branch lie below the main chain, and no two lie on one place", () => {
  for (const tree of Object.values(recorded("02_forks").trees) as [number, number, number, boolean][][]) {
    const { places, lanes } = placedTree(tree.map(([height, parent, , main]) => ({ height, parent, main })));
    assert.ok(places.every((place) => (place.lane === 0) === place.main && place.lane < lanes));
    assert.equal(new Set(places.map((place) => `${place.height}:${place.lane}`)).size, places.length);
  }
});

test("runs are read by their epsilon, without noise last", () => {
  const { curves } = recorded("04_epsilon");
  assert.deepEqual(epsilonsOf(curves), ["0.5", "2", "8", "inf"]);
  assert.equal(iousAt(curves, "inf").length, 3);
  assert.equal(meanOf([1, 2, 6]), 3);
});
