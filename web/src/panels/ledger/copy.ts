// The reader's copy of the chain: blocks that were changed, and what follows from the changes.
import { checkMaker, checkPlace, checkRoot, checkWork, FIELDS, type FieldName, hashOf, readHeader } from "../../chain/block";
import { ascii, type Bytes, hex, joined, same, sha, unsigned, Wrong } from "../../chain/bytes";
import type { Mark, Marks } from "../../chain/light";
import type { Rules } from "../../chain/rules";
import type { Signer } from "../../chain/signatures";
import type { Leaf } from "./tree";

/** A block as it came. */
export interface Block extends Leaf {
  bytes: Bytes;
  key: Bytes;
  signature: Bytes;
  arrivedMs: number;
  /** Contents of its messages; null where they are not told. */
  contents: Bytes[] | null;
  messages: number;
}

/** What the reader has made of a block. */
interface Edit {
  bytes: Bytes;
  key: Bytes;
  signature: Bytes;
}

/** Changed blocks by the hash that they came with. */
export type Copy = ReadonlyMap<string, Edit>;

/** What is agreed, as the checks of a changed block need it. */
export interface Ground {
  rules: Rules;
  chainId: Bytes;
  rulesHash: Bytes;
}

export function editOf(copy: Copy, block: Block): Edit {
  return copy.get(block.hash) ?? block;
}

/** The copy with one block changed; one that is as it came is no change. */
export function withEdit(copy: Copy, block: Block, edit: Edit): Copy {
  const made = new Map(copy), sealed = (of: Edit) => hex(joined(of.bytes, of.key, of.signature));
  if (sealed(edit) === sealed(block)) made.delete(block.hash);
  else made.set(block.hash, edit);
  return made;
}

export function withByte(copy: Copy, block: Block, at: number, value: number): Copy {
  const edit = editOf(copy, block), bytes = Uint8Array.from(edit.bytes);
  bytes[at] = value;
  return withEdit(copy, block, { bytes, key: edit.key, signature: edit.signature });
}

export function withField(bytes: Bytes, name: FieldName, value: Bytes): Bytes {
  const made = Uint8Array.from(bytes);
  made.set(value, FIELDS.find(([field]) => field === name)![1]);
  return made;
}

/** A header whose maker is the reader, before a nonce is searched. */
export function claimed(bytes: Bytes, signer: Signer): Bytes {
  return withField(withField(bytes, "address", sha(signer.publicKey)), "nonce", unsigned(0, 8));
}

/** A header with its nonce, signed by the reader. */
export function sealedBy(bytes: Bytes, nonce: number, signer: Signer): Edit {
  const whole = withField(bytes, "nonce", unsigned(nonce, 8));
  return { bytes: whole, key: signer.publicKey, signature: signer.sign(joined(ascii("fedchain:k"), hashOf(whole))) };
}

/** The hash that a block has in the copy. */
export function hashIn(copy: Copy, block: Block): string {
  const edit = copy.get(block.hash);
  return edit ? hex(hashOf(edit.bytes)) : block.hash;
}

/** The checks of a changed block. What stands below it is taken as it came, but for its hash. */
export function marksOf(
  copy: Copy, block: Block, below: { hash: string; medianMs: bigint } | null, before: Marks | undefined, ground: Ground,
): Marks {
  const edit = editOf(copy, block), came = readHeader(block.bytes), hash = hashOf(edit.bytes);
  const read = told(() => readHeader(edit.bytes));
  if (typeof read === "string") {
    const wrong: Mark = { holds: false, whole: true, reason: read };
    return { work: wrong, parent: wrong, messages: wrong, model: wrong, signatures: wrong };
  }
  const place = {
    parent: { ...came, height: came.height - 1n, rulesHash: ground.rulesHash },
    chainId: ground.chainId,
    bits: came.bits,
    medianMs: below?.medianMs ?? -1n,
    latestMs: BigInt(block.arrivedMs) + BigInt(ground.rules.maxAheadMs),
  };
  return {
    work: said(true, told(() => checkWork(read, hash, came.bits, ground.rules))),
    parent: said(true, told(() => checkPlace(read, place, ground.rules)) || parentWords(read.parent, below?.hash)),
    messages: block.contents ? said(false, told(() => checkRoot(block.contents!, read))) : NOT_HERE,
    model: modelMark(read, came, before?.model),
    signatures: said(false, told(() => checkMaker({ header: read, hash, publicKey: edit.key, signature: edit.signature }))),
  };
}

const NOT_HERE: Mark = { holds: null, whole: false, reason: "" };

/** The result of a function; where it refuses, its words, and "" where it has no result. */
function told<T>(read: () => T): T | string {
  try {
    return read() ?? "";
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

function said(whole: boolean, reason: unknown): Mark {
  return { holds: !reason, whole, reason: String(reason || "") };
}

function parentWords(parent: Bytes, below: string | undefined): string {
  return below === undefined || hex(parent) === below ? "" : `parent: is ${hex(parent).slice(0, 12)}; the block below is ${below.slice(0, 12)}`;
}

type Named = { weightsHash: Bytes; memoryHash: Bytes };

/** Other weights or another memory than the step's cannot be right, whoever has computed the step. */
function modelMark(read: Named, came: Named, before: Mark | undefined): Mark {
  const right = same(read.weightsHash, came.weightsHash) && same(read.memoryHash, came.memoryHash);
  if (right) return before ?? NOT_HERE;
  return { holds: false, whole: before?.whole ?? false, reason: "" };
}

type Standing = "fine" | "broken" | "above";

/** What a block is in the copy. */
export interface Stand {
  standing: Standing;
  /** Whether its parent field names the block below. */
  linked: boolean;
}

/**
 * How every block stands: broken by itself, on a broken one, or fine. Blocks come in ascending order
 * of height; `marksOf` gives the checks of one that was changed.
 */
export function standings(
  blocks: Iterable<Block>, copy: Copy, marks: ReadonlyMap<string, Marks>, changed: (block: Block) => Marks,
): Map<string, Stand> {
  const found = new Map<string, Stand>();
  for (const block of blocks) {
    const edit = copy.get(block.hash), below = found.get(block.parent), belowEdit = copy.get(block.parent);
    const parent = edit ? hex(edit.bytes.subarray(52, 84)) : block.parent;
    const linked = !belowEdit && !edit ? true : parent === (belowEdit ? hex(hashOf(belowEdit.bytes)) : block.parent);
    const own = edit ? changed(block) : marks.get(block.hash);
    const wrong = !linked || (own && Object.values(own).some(({ holds }) => holds === false));
    const rests = below && below.standing !== "fine";
    const itself = edit ? wrong : wrong && !rests;
    found.set(block.hash, { standing: itself ? "broken" : rests ? "above" : "fine", linked });
  }
  return found;
}
