// What does the model keep of a scan? One scan large under a wipe, the others as thumbnails.
import { useState } from "preact/hooks";
import { share, whole } from "../format";
import { Panel } from "../parts/Panel";
import { Range } from "../parts/Range";
import type { TableContent } from "../parts/Table";
import { Toggle } from "../parts/Toggle";
import type { MaskRecord, PictureRecord } from "../records";
import { useWidth } from "../size";
import { ended, masks, pictures, round, run } from "../state";
import { say } from "../words";
import { Greys, Legend, Lines, States } from "./masks/drawing";
import { type Judged, judged, roundOf, scansOf, zoom } from "./masks/pixels";

const TALLEST = 400;
const THUMB = 72;
const STEP = 5;

interface Shown extends Judged {
  readonly scan: number;
  readonly mask: MaskRecord;
  readonly picture: PictureRecord;
}

export function Masks() {
  const [chosen, setChosen] = useState(0);
  const [wipe, setWipe] = useState(50);
  const [depth, setDepth] = useState(false);
  const all = shownNow();
  const one = all.find(({ scan }) => scan === chosen) ?? all[0];
  if (!one) return <Panel id="masks" title={say("masks.title")} finding="" empty={lacking()} />;
  const finding = findingOf(one);
  return (
    <Panel
      id="masks"
      title={say("masks.title")}
      finding={finding}
      controls={
        <>
          <Range label={say("masks.wipe")} min={0} max={100} step={STEP} value={wipe} words={`${wipe} %`} onValue={setWipe} />
          {one.picture.depth && <Toggle label={say("masks.depth")} on={depth} onSwitch={setDepth} />}
        </>
      }
      table={tableOf(all)}
      formula={<Formula one={one} />}
      code="fedchain/scans/segmentation.py:mask_metrics"
    >
      <Large one={one} wipe={wipe} depth={depth} finding={finding} onWipe={setWipe} />
      <Legend />
      {all.length > 1 && (
        <div class="thumbs">
          {all.map((other) => (
            <button aria-pressed={other.scan === one.scan} onClick={() => setChosen(other.scan)}>
              <Thumb of={other} />
              <span>{say("masks.thumb", { scan: other.scan + 1, iou: share(other.counts.iou) })}</span>
            </button>
          ))}
        </div>
      )}
    </Panel>
  );
}

/** Every scan with its mask of the last round that has one. */
function shownNow(): Shown[] {
  return scansOf(masks.value.keys()).flatMap((scan) => {
    const at = roundOf(masks.value.keys(), scan, round.value);
    const mask = masks.value.get(`${scan}:${at}`);
    const picture = pictures.value.get(scan);
    return mask && picture ? [{ scan, mask, picture, ...judged(mask, picture) }] : [];
  });
}

function lacking(): string {
  if (masks.value.size > 0) return say("masks.later");
  // The server computes masks after it has told the rounds.
  if (ended.value === null) return say("masks.preparing");
  const scans = run.value?.task.startsWith("scan");
  return say(scans ? "masks.not_kept" : "masks.no_scans");
}

function findingOf({ scan, mask, counts }: Shown): string {
  const { points, kept, wronglyKept, wronglyRemoved, iou } = counts;
  const words = say("masks.finding", {
    round: mask.round, scan: scan + 1, kept: whole(kept), points: whole(points), iou: share(iou),
    wrongly_kept: whole(wronglyKept), wrongly_removed: whole(wronglyRemoved),
  });
  return mask.round === round.value ? words : `${words} ${say("masks.as_of")}`;
}

interface LargeProps {
  one: Shown;
  wipe: number;
  depth: boolean;
  finding: string;
  onWipe: (wipe: number) => void;
}

function Large({ one, wipe, depth, finding, onWipe }: LargeProps) {
  const [box, room] = useWidth();
  const { height, width } = one.mask;
  const size = Math.min(zoom(width, room), Math.max(1, Math.floor(TALLEST / height)));
  const x = (width * wipe) / 100;
  const drag = (event: PointerEvent) => {
    const area = (event.currentTarget as SVGElement).getBoundingClientRect();
    const part = (event.clientX - area.left) / area.width;
    onWipe(Math.round((100 * Math.min(1, Math.max(0, part))) / STEP) * STEP);
  };
  return (
    <div class="scan" ref={box}>
      {room > 0 && (
        <>
          <p class="heads note" style={{ width: `${width * size}px` }}>
            <span>{say(depth ? "masks.head_depth" : "masks.head_scan")}</span>
            <span>{say("masks.head_mask")}</span>
          </p>
          <svg
            class="pixels" width={width * size} height={height * size} viewBox={`0 0 ${width} ${height}`}
            role="img" aria-label={finding}
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              drag(event);
            }}
            onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && drag(event)}
          >
            <Lines />
            <clipPath id="masks-left"><rect width={x} height={height} /></clipPath>
            <clipPath id="masks-right"><rect x={x} width={width - x} height={height} /></clipPath>
            <g clip-path="url(#masks-left)"><Greys picture={one.picture} depth={depth} /></g>
            <g clip-path="url(#masks-right)"><States states={one.states} width={width} /></g>
            <path class="wipe-line" d={`M${x} 0V${height}`} />
            <WipeHandle x={x} y={height / 2} size={size} />
          </svg>
        </>
      )}
    </div>
  );
}

function WipeHandle({ x, y, size }: { x: number; y: number; size: number }) {
  return (
    <g class="wipe-handle" transform={`translate(${x} ${y}) scale(${1 / size})`}>
      <circle r={12} />
      <path d="M-3 -4L-7 0L-3 4M3 -4L7 0L3 4" />
    </g>
  );
}

function Thumb({ of }: { of: Shown }) {
  const { height, width } = of.mask;
  const size = THUMB / Math.max(height, width);
  return (
    <svg class="pixels" width={width * size} height={height * size} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <States states={of.states} width={width} />
    </svg>
  );
}

function Formula({ one }: { one: Shown }) {
  const { kept, wronglyKept, wronglyRemoved, iou } = one.counts;
  const both = kept - wronglyKept;
  return (
    <>
      <math display="block">
        <mi>IoU</mi><mo>=</mo>
        <mfrac>
          <mrow><mo>|</mo><mi>K</mi><mo>∩</mo><mi>T</mi><mo>|</mo></mrow>
          <mrow><mo>|</mo><mi>K</mi><mo>∪</mo><mi>T</mi><mo>|</mo></mrow>
        </mfrac>
        <mo>=</mo>
        <mfrac>
          <mn>{both}</mn>
          <mrow><mn>{both}</mn><mo>+</mo><mn>{wronglyKept}</mn><mo>+</mo><mn>{wronglyRemoved}</mn></mrow>
        </mfrac>
        <mo>=</mo><mn>{share(iou)}</mn>
      </math>
      <p class="note">{say("masks.formula")}</p>
    </>
  );
}

function tableOf(all: readonly Shown[]): TableContent {
  const head = (["scan", "points", "kept_head", "wrongly_kept", "wrongly_removed", "iou"] as const).map((key) => say(`masks.${key}`));
  const rows = all.map(({ scan, counts }) => [
    say("masks.number", { scan: scan + 1 }), counts.points, counts.kept, counts.wronglyKept,
    counts.wronglyRemoved, share(counts.iou),
  ]);
  return { head, rows };
}
