import assert from "node:assert/strict";
import { test } from "node:test";
import { bitsOf, parseLine } from "../src/records";
import { recordsOf } from "../src/feed";
import { Story } from "../src/story";
import { madeMessage, madeRound } from "./made";

test("a torn line, an unknown kind and another version say nothing", () => {
  assert.equal(parseLine('{"p": 1, "is": "rou'), null);
  assert.equal(parseLine('{"p": 1, "is": "tomorrow"}'), null);
  assert.equal(parseLine('{"p": 2, "is": "round"}'), null);
  assert.equal(parseLine("null"), null);
  assert.equal(parseLine('{"p": 1, "is": "end", "status": "finished"}')?.is, "end");
});

test("lines that say nothing are counted, empty ones are not", () => {
  const records = recordsOf(["", "{", '{"p":1,"is":"end","status":"x"}', "[]"]);
  assert.deepEqual(records.at(-1), { is: "lost", count: 2 });
});

test("a round told again replaces the old one and is remembered as told again", () => {
  const story = new Story();
  story.take([madeRound(1), madeRound(2)]);
  story.take([madeRound(2, { block: "other" })]);
  assert.equal(story.rounds.value.get(2)!.block, "other");
  assert.deepEqual([...story.retold.value], [2]);
  assert.equal(story.lastRound.value, 2);
});

test("the same record told twice, as after a lost connection, counts once", () => {
  const story = new Story();
  const link = { is: "link", a: "c0", b: "h1", latency_ms: 3 } as const;
  const trip = { is: "trip", round: 1, id: "x", what: "block", sender: "c0", left_s: 1, arrivals: [] } as const;
  const told = [madeRound(1), madeMessage(1), link, { ...trip, arrivals: [] as [string, number][] }];
  story.take(told);
  story.take(told);
  assert.equal(story.messages.value.get(1)!.length, 1);
  assert.equal(story.links.value.length, 1);
  assert.equal(story.trips.value.get(1)!.length, 1);
  assert.equal(story.retold.value.size, 0);
});

test("the last telling of a message holds", () => {
  const story = new Story();
  story.take([madeMessage(1, { used: true }), madeMessage(1, { id: "z" })]);
  story.take([madeMessage(1, { used: false, late: true })]);
  const [first, second] = story.messages.value.get(1)!;
  assert.equal(first!.late, true);
  assert.equal(second!.id, "z");
});

test("bits are read from the highest of each byte", () => {
  assert.deepEqual([...bitsOf(btoa("\x90\x80"), 9)], [1, 0, 0, 1, 0, 0, 0, 0, 1]);
});
