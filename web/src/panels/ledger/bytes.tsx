// The 264 bytes of a header in thirteen rows. One byte has the focus; arrows move it.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { FIELDS, HEADER_BYTES } from "../../chain/block";
import { say } from "../../words";
import { type Block, editOf, withByte } from "./copy";
import type { LedgerModel } from "./model";
import { decoded } from "./words";

const hex = (byte: number) => byte.toString(16).padStart(2, "0");

/** The place to which a key moves the focus; the place itself where the key moves nothing. */
export function moved(at: number, key: string): number {
  const row = FIELDS.findLastIndex(([, start]) => start <= at), [, start, size] = FIELDS[row]!;
  if (key === "ArrowLeft") return Math.max(0, at - 1);
  if (key === "ArrowRight") return Math.min(HEADER_BYTES - 1, at + 1);
  if (key === "Home") return start;
  if (key === "End") return start + size - 1;
  const other = FIELDS[row + (key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0)];
  return other ? other[1] + Math.min(at - start, other[2] - 1) : at;
}

/** The focused byte of a block, and what keys do with it. */
function useFocus(model: LedgerModel, block: Block) {
  const at = useSignal(199), grid = useRef<HTMLDivElement>(null);
  /** The place whose first digit was typed. */
  const begun = useSignal(-1);
  const { bytes } = editOf(model.copy.value, block), fixed = block.height === 0;
  const put = (place: number, value: number) => {
    if (!fixed && bytes[place] !== value) model.change(withByte(model.copy.value, block, place, value));
  };
  const go = (place: number) => {
    at.value = place;
    requestAnimationFrame(() => grid.current?.querySelector<HTMLElement>("[tabindex='0']")?.focus());
  };
  const type = (digit: number) => {
    const now = bytes[at.value]!, second = begun.value === at.value;
    put(at.value, second ? (now & 0xf0) | digit : (digit << 4) | (now & 0x0f));
    begun.value = second ? -1 : at.value;
    if (second) go(moved(at.value, "ArrowRight"));
  };
  const onKey = (event: KeyboardEvent) => {
    const { key } = event, digit = /^[0-9a-f]$/i.test(key);
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (/^(Arrow|Home$|End$)/.test(key)) go(moved(at.value, key));
    else if (key === " " || key === "Enter") put(at.value, bytes[at.value]! ^ 1);
    else if (key === "Backspace" || key === "Delete") put(at.value, block.bytes[at.value]!);
    else if (digit) type(parseInt(key, 16));
    else return;
    if (!digit) begun.value = -1;
    event.preventDefault();
  };
  return { at, grid, bytes, fixed, put, onKey };
}

export function Bytes({ model, block }: { model: LedgerModel; block: Block }) {
  const { at, grid, bytes, fixed, put, onKey } = useFocus(model, block);
  return (
    <div class="ledger-bytes" id="ledger-bytes">
      <div role="grid" aria-label={say("ledger.bytes")} aria-readonly={fixed} ref={grid} onKeyDown={onKey}>
        {FIELDS.map(([field, start, size]) => (
          <div role="row" class="ledger-row" key={field}>
            <span role="rowheader">{say(`ledger.field_${field}`)}</span>
            <span class="ledger-cells" role="presentation">
              {Array.from({ length: size }, (_, offset) => {
                const place = start + offset, value = hex(bytes[place]!), old = hex(block.bytes[place]!);
                const words = { field: say(`ledger.field_${field}`), place: offset + 1, value, old };
                const flip = () => put(place, bytes[place]! ^ 1), chosen = place === at.value;
                return <Cell key={offset} words={words} chosen={chosen} onFocus={() => (at.value = place)} onFlip={flip} />;
              })}
            </span>
            <span role="gridcell" class="ledger-value">{decoded(model, block, field)}</span>
          </div>
        ))}
      </div>
      <p class="note">{say(fixed ? "ledger.bytes_fixed" : "ledger.bytes_help")}</p>
    </div>
  );
}

interface CellProps {
  words: { field: string; place: number; value: string; old: string };
  chosen: boolean;
  onFocus: () => void;
  onFlip: () => void;
}

function Cell({ words, chosen, onFocus, onFlip }: CellProps) {
  const changed = words.value !== words.old;
  return (
    <span
      role="gridcell"
      class={changed ? "hash changed" : "hash"}
      tabIndex={chosen ? 0 : -1}
      aria-label={say(changed ? "ledger.byte_changed" : "ledger.byte_label", words)}
      onFocus={onFocus}
      onClick={onFlip}
    >
      {words.value}
    </span>
  );
}
