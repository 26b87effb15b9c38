// Blocks: a header of 264 bytes, the key and signature of the node that made it, and messages.
import { ascii, type Bytes, compare, hex, joined, need, Reader, same, sha, short, unsigned, wide } from "./bytes";
import { treeRoot } from "./merkle";
import { checkMessage, isZero, type Message, readMessage } from "./message";
import type { Rules } from "./rules";
import { signs } from "./signatures";
import { targetOf } from "./work";

export const HEADER_BYTES = 264;
export const VERSION = 2;
export const MEDIAN_OF = 11;
const MOST_OPEN = 65_536;
const SEALED = ascii("fedchain:k");

export interface Header {
  version: number;
  chainId: Bytes;
  height: bigint;
  parent: Bytes;
  timeMs: bigint;
  bits: number;
  address: Bytes;
  messagesRoot: Bytes;
  weightsHash: Bytes;
  memoryHash: Bytes;
  rulesHash: Bytes;
  nonce: bigint;
}

/** Name, first byte and number of bytes of every field of a header, in their order. */
export const FIELDS = [
  ["tag", 0, 10], ["version", 10, 2], ["chain_id", 12, 32], ["height", 44, 8], ["parent", 52, 32],
  ["time_ms", 84, 8], ["bits", 92, 4], ["address", 96, 32], ["messages_root", 128, 32],
  ["weights_hash", 160, 32], ["memory_hash", 192, 32], ["rules_hash", 224, 32], ["nonce", 256, 8],
] as const;
export type FieldName = (typeof FIELDS)[number][0];

export function readHeader(data: Bytes): Header {
  const read = new Reader(data, "header");
  read.tag("fedchain:h");
  const header: Header = {
    version: read.uint(2),
    chainId: read.take(32),
    height: read.u64(),
    parent: read.take(32),
    timeMs: read.u64(),
    bits: read.uint(4),
    address: read.take(32),
    messagesRoot: read.take(32),
    weightsHash: read.take(32),
    memoryHash: read.take(32),
    rulesHash: read.take(32),
    nonce: read.u64(),
  };
  read.end();
  return header;
}

/** The block hash: SHA-256 of the SHA-256 of the header. */
export function hashOf(header: Bytes): Bytes {
  return sha(sha(header));
}

/** The header of the block below all others, which follows from what is agreed and the first state. */
export function genesisHeader(bits: number, rulesHash: Bytes, weightsHash: Bytes, memoryHash: Bytes): Bytes {
  const zero = new Uint8Array(32), none = new Uint8Array(8);
  const start = joined(ascii("fedchain:h"), unsigned(VERSION, 2), zero, none, zero, none, unsigned(bits, 4));
  return joined(start, zero, treeRoot([]), weightsHash, memoryHash, rulesHash, none);
}

/** A header with the seal of the node that made it. */
export interface Sealed {
  header: Header;
  hash: Bytes;
  publicKey: Bytes;
  signature: Bytes;
}

/** The start of a block, without its messages. */
export function readSealed(read: Reader): Sealed {
  const raw = read.take(HEADER_BYTES);
  return { header: readHeader(raw), hash: hashOf(raw), publicKey: read.take(32), signature: read.take(64) };
}

/** The messages of a block, which end it. */
export function readMessages(read: Reader, rules: Rules): Message[] {
  const count = read.uint(4), most = mostMessages(rules);
  need(count <= most, () => `messages: are ${count}; at most ${most} are allowed`);
  const messages: Message[] = [];
  for (let at = 0; at < count; at++) {
    const size = read.uint(4), left = read.data.length - read.at;
    need(size <= left, () => `file: a message of ${size} bytes; at most ${left} are allowed`);
    messages.push(readMessage(read.take(size)));
  }
  const left = read.data.length - read.at;
  need(!left, () => `messages: end ${left} bytes before the block`);
  return messages;
}

function mostMessages(rules: Rules): number {
  return rules.open ? MOST_OPEN : rules.holders + Number(rules.root);
}

/** What the chain asks of a header at its place. */
export interface Below {
  parent: Header;
  chainId: Bytes;
  bits: number;
  medianMs: bigint;
  latestMs: bigint;
}

/** Check how a header stands on the block below it (rules 1 and 2). */
export function checkPlace(header: Header, below: Below, rules: Rules): void {
  need(header.version === VERSION, () => `version: is ${header.version}; must be ${VERSION}`);
  for (const [name, got, wanted] of [
    ["chain_id", header.chainId, below.chainId], ["rules_hash", header.rulesHash, below.parent.rulesHash],
  ] as const) {
    need(same(got, wanted), () => `${name}: is ${short(got)}; must be ${short(wanted)}`);
  }
  const height = below.parent.height + 1n;
  const right = header.height === height && height <= BigInt(rules.rounds);
  need(right, () => `height: is ${header.height}; must be ${height}, at most ${rules.rounds}`);
  const { medianMs, latestMs } = below;
  const inTime = header.timeMs > medianMs && header.timeMs <= latestMs;
  need(inTime, () => `time_ms: is ${header.timeMs}; must be above ${medianMs}, at most ${latestMs}`);
}

/** Check the work of a header (rules 3 to 5). */
export function checkWork(header: Header, hash: Bytes, bits: number, rules: Rules): void {
  need(header.bits === bits, () => `bits: is 0x${header.bits.toString(16)}; must be 0x${bits.toString(16)}`);
  if (rules.sampled) {
    need(header.nonce === 0n, () => `nonce: is ${header.nonce}; must be 0 where work is sampled`);
  } else {
    const paid = wide(hash) <= targetOf(header.bits);
    need(paid, () => `nonce: ${header.nonce} does not bring the hash to the target`);
  }
}

/** Check that the node at the header's address has signed the block (rule 6). */
export function checkMaker(block: Sealed): void {
  const { address } = block.header;
  need(same(sha(block.publicKey), address), () => `public_key: is not that of the address ${short(address)}`);
  const right = signs(block.publicKey, block.signature, joined(SEALED, block.hash));
  need(right, "signature: is not that of the maker");
}

/** Check messages, each but for its signature, and all together (rules 7 and 8). */
export function checkMessages(messages: Message[], header: Header, rules: Rules): void {
  checkRoot(messages.map((message) => message.content), header);
  const count = messages.length, most = mostMessages(rules);
  need(count <= most, () => `messages: are ${count}; at most ${most} are allowed`);
  need(count >= rules.quorum, () => `messages: are ${count}; must be ${rules.quorum} (the quorum) or more`);
  const rising = messages.every((message, at) => !at || compare(messages[at - 1]!.id, message.id) < 0);
  need(rising, "messages: must stand in ascending order of their ids, each once");
  need(distinct(messages.map((message) => message.publicKey)), "messages: two are of one identity");
  const own = messages.filter((message) => message.records && !isZero(message));
  need(distinct(own.map((message) => message.payload)), "messages: two have the same payload");
  const roots = messages.filter((message) => !message.records).length;
  need(roots <= 1, "messages: two are of a public root; one is allowed");
  for (const message of messages) checkMessage(message, rules, header);
}

/** Check that a header commits to messages with these contents (rule 7). */
export function checkRoot(contents: Bytes[], header: Header): void {
  const right = same(treeRoot(contents), header.messagesRoot);
  need(right, "messages_root: is not the root of the messages");
}

function distinct(values: Bytes[]): boolean {
  return new Set(values.map(hex)).size === values.length;
}
