// Lesson 1: flip any bit of a model, and see its hash before and after.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { fromHex, hex, sha } from "../chain/bytes";
import { hashOf } from "../chain/block";
import { withField } from "../panels/ledger/copy";
import { Range } from "../parts/Range";
import { bytesOf } from "../records";
import { say } from "../words";
import { Cells } from "./bits";
import { changedBits, flipped } from "./bits_changed";
import { Bytes } from "./bytes_grid";
import type { PartProps, Play } from "./lesson";

interface HashData {
  /** Base64 of the bytes of a model, of which the numbers begin at `first`. */
  model: string;
  first: number;
  header: string;
  weights_hash: string;
}

const BITS = 256;

export const hashPlay: Play<number, HashData> = {
  start: () => 0,
  Predict: ({ progress }) => (
    <Range
      label={say("lessons.bits")}
      min={0}
      max={BITS}
      value={progress.prediction.value}
      words={say("lessons.of_bits", { n: progress.prediction.value })}
      onValue={(bits) => progress.say(bits)}
    />
  ),
  Try,
  words: (bits) => say("lessons.said_bits", { n: bits }),
};

function Try({ data }: PartProps<number, HashData>) {
  const model = useMemo(() => bytesOf(data.model), [data]);
  const place = useSignal(data.first);
  const bit = useSignal(7);
  const counts = useSignal<number[]>([]);
  const on = useSignal(false);
  const before = sha(model);
  const after = on.value ? sha(flipped(model, place.value, bit.value)) : before;
  const flip = (at: number) => {
    place.value = at;
    on.value = true;
    counts.value = [...counts.value, changedBits(before, sha(flipped(model, at, bit.value)))];
  };
  return (
    <>
      <p class="note">{say("lessons.model_bytes", { n: model.length - data.first })}</p>
      <Bytes bytes={model.subarray(data.first)} changed={on.value ? place.value - data.first : null} onByte={(at) => flip(at + data.first)} />
      <div class="sliders">
        <Range label={say("lessons.which_bit")} min={0} max={7} value={bit.value} words={String(bit.value)} onValue={(value) => (bit.value = value)} />
      </div>
      <div class="pair">
        <Cells title={say("lessons.hash_before")} bytes={before} other={before} />
        <Cells title={say("lessons.hash_after")} bytes={after} other={before} />
      </div>
      <p role="status" class="strong">
        {counts.value.length > 0 && say("lessons.changed", { n: counts.value.at(-1)!, all: counts.value.join(", ") })}
      </p>
      {on.value && <Block data={data} after={after} />}
    </>
  );
}

/** The hash of the model stands in the header, so the block gets another hash as well. */
function Block({ data, after }: { data: HashData; after: Uint8Array }) {
  const header = bytesOf(data.header);
  const changed = withField(header, "weights_hash", after);
  const [old, now] = [hex(hashOf(header)), hex(hashOf(changed))];
  const kept = hex(after) === hex(fromHex(data.weights_hash));
  return <p class="note">{!kept && say("lessons.block_too", { old: old.slice(0, 8), now: now.slice(0, 8) })}</p>;
}
