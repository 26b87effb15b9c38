import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, followEvents } from "../src/sse";

test("events are found however the text is cut", () => {
  const text = ": hello\n\nid: 7\ndata: {\"a\":1}\n\ndata: x\ndata: y\n\n";
  const expected = [{ id: "7", data: '{"a":1}' }, { id: "7", data: "x\ny" }];
  for (const size of [1, 3, 1000]) {
    const parser = new EventParser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(found, expected);
  }
});

test("an event that has not ended is not told", () => {
  assert.deepEqual(new EventParser().push("data: half\n"), []);
});

test("lines may end with carriage return and line feed, cut between them too", () => {
  const parser = new EventParser();
  assert.deepEqual([...parser.push("data: a\r"), ...parser.push("\n\r\n")], [{ id: null, data: "a" }]);
});

test("a lost stream is tried again from its last event, and waits longer each time", async () => {
  const asked: (string | null)[] = [];
  const states: string[] = [];
  const waits: number[] = [];
  const answers = [
    new Response("id: 5\ndata: a\n\n"),
    new Response("gone", { status: 503 }),
    new Response("id: 9\ndata: end\n\n"),
  ];
  const told: string[] = [];
  const before = globalThis.fetch;
  globalThis.fetch = (async (_: string, init: RequestInit) => {
    asked.push(new Headers(init.headers).get("Last-Event-ID"));
    return answers.shift()!;
  }) as typeof fetch;
  try {
    await followEvents("events", {
      onEvents: (events) => told.push(...events.map((event) => event.data)),
      onState: (state) => states.push(state),
      over: () => told.includes("end"),
      wait: async (seconds) => void waits.push(seconds),
    });
  } finally {
    globalThis.fetch = before;
  }
  assert.deepEqual(asked, [null, "5", "5"]);
  assert.deepEqual(told, ["a", "end"]);
  assert.deepEqual(states, ["open", "lost", "lost", "open"]);
  assert.deepEqual(waits, [1, 2]);
});
