// The tree of blocks. Only what is seen is drawn, so that ten thousand blocks stay fluid.
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useWidth } from "../../size";
import { say } from "../../words";
import { type Block, editOf, hashIn, type Stand } from "./copy";
import { Minimap } from "./minimap";
import type { LedgerModel } from "./model";
import { BLOCK, heightOf, leftOf, linkPath, neighbour, type Placed, seen, topOf, widthOf } from "./tree";
import { digits } from "./words";

const MARGIN = 14; // for the marks that stand over a block's corner, and for the focus

export function TreeView({ model }: { model: LedgerModel }) {
  const [box, width] = useWidth();
  const scroll = useRef<HTMLDivElement>(null);
  const scrolled = useSignal(0);
  const grown = model.grown.value, whole = widthOf(grown.columns.length) + 2 * MARGIN;
  const height = heightOf(grown.lanes) + 2 * MARGIN;
  const [first, last] = seen(scrolled.value - MARGIN, width, grown.columns.length);
  const shown = grown.columns.slice(first, last + 2).flat().map((hash) => grown.places.get(hash)!);
  const gap = grown.columns.findIndex((hashes) => !hashes.length);

  const chosen = useComputed(() => model.grown.value.places.get(model.selected.value ?? "")?.column ?? null);
  useSignalEffect(() => {
    const element = scroll.current, at = chosen.value;
    if (element && at !== null) bring(element, leftOf(at));
  });

  return (
    <div ref={box} class="ledger-tree">
      <div class="scroll ledger-scroll" role="group" aria-label={say("ledger.tree")} tabIndex={0} ref={scroll} onScroll={(event) => (scrolled.value = event.currentTarget.scrollLeft)}>
        <div style={{ width: `${whole}px`, height: `${height}px` }}>
          <svg class="ledger-picture" width={width} height={height} role="tree" aria-label={say("ledger.tree")} onKeyDown={(event) => move(model, event)}>
            <g transform={`translate(${MARGIN - scrolled.value} ${MARGIN})`}>
              {shown.map((place) => <Link key={`l${place.block.hash}`} model={model} place={place} />)}
              {gap >= first && gap <= last && <text x={leftOf(gap) + BLOCK.width / 2} y={BLOCK.height / 2} text-anchor="middle">…</text>}
              {shown.map((place) => <Leaf key={place.block.hash} model={model} place={place} />)}
            </g>
          </svg>
        </div>
      </div>
      {whole > width && <Minimap model={model} width={width} left={scrolled.value / whole} share={width / whole}
        onMove={(share) => { scroll.current!.scrollLeft = share * whole; }} />}
    </div>
  );
}

/** Arrow keys go from block to block, and Enter goes to the bytes of the chosen one. */
function move(model: LedgerModel, event: KeyboardEvent): void {
  const from = model.selected.value, tree = event.currentTarget as SVGElement;
  if (!from || !/^(Arrow|Home$|End$|Enter$)/.test(event.key) || event.shiftKey) return;
  event.preventDefault();
  if (event.key === "Enter") return void document.querySelector<HTMLElement>("#ledger-bytes [tabindex='0']")?.focus();
  model.selected.value = neighbour(model.grown.value, from, event.key);
  requestAnimationFrame(() => tree.querySelector<SVGElement>("[aria-selected=true]")?.focus());
}

/** Scroll so that a block is seen with one before and after it. */
function bring(element: HTMLElement, x: number): void {
  const column = BLOCK.width + BLOCK.gap, start = x - column, end = x + 2 * column;
  if (element.scrollLeft > start) element.scrollLeft = start;
  else if (element.scrollLeft + element.clientWidth < end) element.scrollLeft = end - element.clientWidth;
}

function Link({ model, place }: { model: LedgerModel; place: Placed<Block> }) {
  const { block } = place, below = model.grown.value.places.get(block.parent);
  if (!below) return null;
  const state = model.stands.value.get(block.hash)!.linked ? (block.main ? "" : " stale") : " cut";
  return <path class={`ledger-link${state}`} d={linkPath(place, below)} />;
}

const SIGNS = { fine: "", broken: "✕", above: "?" } as const;

function Leaf({ model, place: { block, column, lane } }: { model: LedgerModel; place: Placed<Block> }) {
  const stand: Stand = model.stands.value.get(block.hash)!, chosen = model.selected.value === block.hash;
  const { bytes } = editOf(model.copy.value, block), maker = block.height ? model.makerOf(bytes) : "";
  const title = block.height ? String(block.height) : say("ledger.genesis");
  const [zeros, rest] = digits(hashIn(model.copy.value, block)), { width, height } = BLOCK;
  const faint = zeros.slice(0, 4), clear = rest.slice(0, 9 - faint.length), sign = SIGNS[stand.standing];
  const place = say(block.main ? "ledger.main_place" : "ledger.stale_place"), state = say(`ledger.${stand.standing}`);
  // The name begins with what is seen, so that who speaks to the page can say it.
  const label = say("ledger.block_label", { seen: [title, faint + clear, maker].filter(Boolean).join(" "), place, state });
  return (
    <g
      role="treeitem"
      class={`ledger-block ${stand.standing}${block.main ? "" : " stale"}`}
      tabindex={chosen ? 0 : -1}
      aria-selected={chosen}
      aria-level={block.height + 1}
      aria-label={label}
      transform={`translate(${leftOf(column)} ${topOf(lane)})`}
      onClick={() => (model.selected.value = block.hash)}
    >
      <rect width={width} height={height} rx={6} />
      <text class="ledger-height" x={10} y={23}>{title}</text>{" "}
      <text class="ledger-hash" x={10} y={45}><tspan class="faint">{faint}</tspan>{clear}</text>{" "}
      {maker && <text class="ledger-maker" x={width - 10} y={23} text-anchor="end">{maker}</text>}
      {sign && (
        <g class="ledger-sign" transform={`translate(${width} 0)`}>
          <circle r={10} />
          <text text-anchor="middle" y={5}>{sign}</text>
        </g>
      )}
    </g>
  );
}
