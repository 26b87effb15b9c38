// A program for tests: reads chain files from standard input, each behind its length (u32), and
// writes the verdict on each as one line of JSON. One process judges many files.
import { readSync, writeSync } from "node:fs";
import { verifyFile } from "../src/chain/file";

function taken(size: number): Buffer | null {
  const whole = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const got = readSync(0, whole, at, size - at, null);
    if (!got) return null;
    at += got;
  }
  return whole;
}

for (let head = taken(4); head; head = taken(4)) {
  const data = taken(head.readUInt32BE(0));
  if (!data) break;
  let line: string;
  try {
    line = JSON.stringify(verifyFile(data));
  } catch (error) {
    line = JSON.stringify({ crashed: String((error as Error).stack) });
  }
  writeSync(1, `${line}\n`);
}
