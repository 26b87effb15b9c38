// A chain as a page gets it: what is agreed, then headers, then the messages of some blocks. Every
// check of a block says yes, no, or that what it needs is not here.
import { checkMaker, checkMessages, checkPlace, checkRoot, checkWork, type Header, hashOf, MEDIAN_OF, readHeader, readMessages, readSealed, type Sealed } from "./block";
import { type Bytes, hex, need, Reader, Wrong } from "./bytes";
import { checkSigned, type Message } from "./message";
import { readWeights, type State } from "./state";
import { States } from "./states";
import { type Agreed, type Node, readAgreed, Tree } from "./tree";

/** The checks of a block, in the order in which the page shows them. */
export const CHECKS = ["work", "parent", "messages", "model", "signatures"] as const;
export type CheckName = (typeof CHECKS)[number];

/** What a check says. */
export interface Mark {
  /** Null where what it needs is not here. */
  holds: boolean | null;
  /** Whether it saw all that it is about, and not only what headers say. */
  whole: boolean;
  /** Why not, in words of the format; empty where it holds. */
  reason: string;
}
export type Marks = Record<CheckName, Mark>;

/** A header as the page records have it. */
export interface HeaderGiven {
  hash: string;
  bytes: Bytes;
  key: Bytes;
  signature: Bytes;
  arrivedMs: number;
  /** Contents of the messages in their order; null where they are not told. */
  contents: Bytes[] | null;
}

interface Known {
  sealed: Sealed;
  given: HeaderGiven;
  /** The messages with everything that they say; null where they are not here. */
  messages: Message[] | null;
}

export class Light {
  readonly agreed: Agreed;
  readonly tree: Tree;
  private readonly known = new Map<string, Known>();
  private readonly states: States;

  constructor(rules: Bytes, weights: Bytes) {
    this.agreed = readAgreed(rules);
    const first: State = { weights: readWeights(weights, this.agreed.rules), memory: new Map() };
    this.tree = new Tree(this.agreed, first);
    this.states = new States(this.agreed, this.tree, first, (hash) => this.known.get(hash)?.messages ?? null);
  }

  /** Take a header; one that cannot be read is left out, and the error says why. */
  header(given: HeaderGiven): void {
    const header = readHeader(given.bytes), hash = hashOf(given.bytes);
    need(hex(hash) === given.hash, `header: hash: is ${hex(hash)}; the record says ${given.hash}`);
    if (this.known.has(given.hash)) return;
    const messages = given.contents?.length === 0 ? [] : null; // a block without messages has nothing more to say
    this.known.set(given.hash, { sealed: { header, hash, publicKey: given.key, signature: given.signature }, given, messages });
    this.tree.addLoose(header, given.hash);
  }

  /** Take the bytes of a whole block whose header is known. */
  body(hash: string, data: Bytes): void {
    const known = this.known.get(hash);
    need(known !== undefined, "block: its header is not here");
    const read = new Reader(data, "block"), sealed = readSealed(read);
    need(hex(sealed.hash) === hash, "block: is another one than its header");
    known.messages = readMessages(read, this.agreed.rules);
  }

  /** The blocks to check again now that the messages of one have come: it, and those above that have theirs. */
  waitingFor(hash: string): string[] {
    const found = new Set([hash]);
    for (const [above, { sealed, messages }] of this.known) {
      if (messages && found.has(hex(sealed.header.parent))) found.add(above);
    }
    return [...found];
  }

  marks(hash: string): Marks {
    const known = this.known.get(hash)!;
    return {
      work: this.work(known),
      parent: this.parent(known),
      messages: this.messages(known),
      model: this.model(known),
      signatures: signatures(known),
    };
  }

  private work({ sealed, given }: Known): Mark {
    const parent = this.below(sealed.header, this.agreed.rules.retargetWindow);
    return mark(parent !== null, () => {
      const bits = parent ? this.tree.above(parent, BigInt(given.arrivedMs)).bits : sealed.header.bits;
      checkWork(sealed.header, sealed.hash, bits, this.agreed.rules);
    });
  }

  private parent({ sealed, given }: Known): Mark {
    const parent = this.below(sealed.header, MEDIAN_OF);
    if (!parent) return NOT_HERE;
    return mark(true, () => checkPlace(sealed.header, this.tree.above(parent, BigInt(given.arrivedMs)), this.agreed.rules));
  }

  /** The block below, if so many blocks from there down are here. */
  private below(header: Header, count: number): Node | null {
    const parent = this.tree.nodes.get(hex(header.parent));
    return parent && this.tree.reaches(parent, count) ? parent : null;
  }

  private messages({ sealed, given: { contents }, messages }: Known): Mark {
    if (messages) return mark(true, () => checkMessages(messages, sealed.header, this.agreed.rules));
    return contents ? mark(false, () => checkRoot(contents, sealed.header)) : NOT_HERE;
  }

  private model({ sealed, messages }: Known): Mark {
    const agreed = this.agreed.unknown.length === 0 && this.tree.nodes.has(hex(sealed.header.parent));
    if (!messages || !agreed) return NOT_HERE;
    let here = false;
    const found = mark(true, () => {
      here = this.states.check(sealed, messages);
    });
    return found.holds && !here ? NOT_HERE : found;
  }
}

const NOT_HERE: Mark = { holds: null, whole: false, reason: "" };

function mark(whole: boolean, check: () => void): Mark {
  try {
    check();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { holds: false, whole, reason: error.message };
  }
  return { holds: true, whole, reason: "" };
}

function signatures({ sealed, messages }: Known): Mark {
  return mark(messages !== null, () => {
    checkMaker(sealed);
    for (const message of messages ?? []) checkSigned(message);
  });
}
