// A recorded chain, and what its checks say after somebody has changed headers and mined again. The
// signature of a block's maker is left out: whoever mines a block again signs it with their own key.
import { checkMessages, HEADER_BYTES, hashOf, readHeader, readMessages, readSealed } from "../chain/block";
import { type Bytes, hex, Reader, same, unsigned, wide, Wrong } from "../chain/bytes";
import { search } from "../chain/mine";
import type { Message } from "../chain/message";
import type { Rules } from "../chain/rules";
import { hashesOf, mostBytes, readWeights, type State } from "../chain/state";
import { type Agreed, readAgreed, stepped } from "../chain/tree";
import { targetOf } from "../chain/work";
import { withField } from "../panels/ledger/copy";

interface Recorded {
  rules: Rules;
  /** Headers of the blocks above genesis, from the lowest. */
  headers: Bytes[];
  messages: Message[][];
  /** The state after each block, recomputed from the messages. */
  states: State[];
  /** Hash of genesis, below the first block. */
  genesis: Bytes;
}

export const CHECKS = ["work", "link", "messages", "model"] as const;
export type Check = (typeof CHECKS)[number];
export type Verdict = Record<Check, boolean>;

/** Read a chain file without branches: the chain of a lesson. */
export function readChain(data: Bytes): Recorded {
  const read = new Reader(data, "file");
  read.take(12); // tag and version
  const agreed = readAgreed(read.piece(4, data.length, "rules"));
  const weights = readWeights(read.piece(8, mostBytes(agreed.rules), "weights"), agreed.rules);
  read.piece(8, data.length, "memory");
  const count = Number(read.u64());
  read.take(32); // the head
  const headers: Bytes[] = [], messages: Message[][] = [];
  for (let at = 0; at < count; at += 1) {
    read.u64(); // time of arrival
    const block = read.piece(8, data.length, "a block");
    const inside = new Reader(block, "block");
    readSealed(inside);
    headers.push(block.slice(0, HEADER_BYTES));
    messages.push(readMessages(inside, agreed.rules));
  }
  const states = statesOf(agreed, { weights, memory: new Map() }, messages);
  return { rules: agreed.rules, headers, messages, states, genesis: readHeader(headers[0]!).parent };
}

function statesOf(agreed: Agreed, first: State, messages: Message[][]): State[] {
  const states: State[] = [];
  let state = first;
  messages.forEach((sent, at) => {
    state = stepped(agreed, state, sent, at + 1);
    states.push(state);
  });
  return states;
}

/** What every node finds in each block, if these are the headers. */
export function judge(chain: Recorded, headers: readonly Bytes[]): Verdict[] {
  return headers.map((raw, at) => {
    const header = readHeader(raw);
    const below = at ? hashOf(headers[at - 1]!) : chain.genesis;
    const { weights, memory } = hashesOf(chain.states[at]!, chain.rules);
    return {
      work: wide(hashOf(raw)) <= targetOf(header.bits),
      link: same(header.parent, below),
      messages: saysSo(() => checkMessages(chain.messages[at]!, header, chain.rules)),
      model: same(header.weightsHash, weights) && same(header.memoryHash, memory),
    };
  });
}

function saysSo(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof Wrong) return false;
    throw error;
  }
}

/** The header of a block whose model has one bit flipped: the lowest bit of its first weight. */
export function withFlippedBit(chain: Recorded, at: number): Bytes {
  const state = chain.states[at]!;
  const weights = state.weights.slice();
  new Uint8Array(weights.buffer)[0]! ^= 1;
  return withField(chain.headers[at]!, "weights_hash", hashesOf({ ...state, weights }, chain.rules).weights);
}

/** A header that names another block below. */
export function onTopOf(header: Bytes, below: Bytes): Bytes {
  return withField(header, "parent", hashOf(below));
}

/** Try nonces from `from` on, at most so many; `done` is the header that has its work done. */
export function mine(header: Bytes, from: number, most: number): { done: Bytes | null; tries: number } {
  const target = unsigned(targetOf(readHeader(header).bits), 32);
  const nonce = search(header, target, from, most);
  if (nonce === null) return { done: null, tries: most };
  return { done: withField(header, "nonce", unsigned(nonce, 8)), tries: nonce - from + 1 };
}

/** The first digits of a block's hash. */
export function nameOf(header: Bytes): string {
  return hex(hashOf(header)).slice(0, 8);
}
