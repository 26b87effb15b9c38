// Which points does the model remove? A cloud before and after, turned together, and a lasso.
import { useMemo, useState } from "preact/hooks";
import { plain, share, three, whole } from "../format";
import { Panel } from "../parts/Panel";
import { Range } from "../parts/Range";
import type { TableContent } from "../parts/Table";
import { Toggle } from "../parts/Toggle";
import { bytesOf } from "../records";
import { useWidth } from "../size";
import { clouds, masks, pictures, round, run } from "../state";
import { say } from "../words";
import { roundOf, scansOf } from "./masks/pixels";
import { Formula } from "./points/formula";
import { Lasso, type Line } from "./points/lasso";
import { after, before, cleaned, type Cleaned } from "./points/marks";
import { inside, projected, readCloud, scored, type Selection, type Turn, type ViewName, VIEWS } from "./points/projection";
import { Flat, hasWebGL, Turned } from "./points/views";

const NARROW = 420;
const LARGEST = 600;
const BEGIN: Turn = { yaw: -0.5, pitch: 0.35 };
const NAMES = ["top", "front", "side"] as const;

export function Points() {
  const [chosen, setChosen] = useState(0);
  const [turn, setTurn] = useState<Turn>(BEGIN);
  const [drawing, setDrawing] = useState(false);
  const [lasso, setLasso] = useState<{ line: Line; turn: Turn } | null>(null);
  const scans = scansOf(clouds.value.keys());
  const scan = scans.includes(chosen) ? chosen : scans[0];
  const one = useCleaned(scan);
  const picked = useMemo(
    () => one && lasso && inside(lasso.line, projected(one.cloud.places, lasso.turn, 1)),
    [one, lasso],
  );
  if (!one) return <Panel id="points" title={say("points.title")} finding="" empty={say("points.none", { task: run.value?.task ?? "" })} />;
  const yours = picked && scored(picked, one.truth);
  const finding = findingOf(one, scan!);
  return (
    <Panel
      id="points" title={say("points.title")} finding={finding}
      controls={
        <>
          {hasWebGL() && <Turns turn={turn} onTurn={setTurn} />}
          {hasWebGL() && <Toggle label={say("points.lasso")} on={drawing} onSwitch={setDrawing} />}
          {lasso && <button onClick={() => setLasso(null)}>{say("points.clear")}</button>}
          <Scans scans={scans} chosen={scan!} onChoose={(other) => { setChosen(other); setLasso(null); }} />
          <p class="note" aria-live="polite">{yours ? yoursWords(yours, one) : drawing ? say("points.how") : ""}</p>
        </>
      }
      table={tableOf(one, yours)}
      formula={<Formula one={one} />}
      code="fedchain/scans/segmentation.py:mask_metrics"
    >
      <Pictures
        key={scan} one={one} picked={picked} turn={turn} finding={finding} drawing={drawing}
        onTurn={setTurn} onLasso={(line) => setLasso({ line, turn })}
      />
      <Legend />
    </Panel>
  );
}

/** The cloud of a scan, as the model of the round on the page cleans it. */
function useCleaned(scan: number | undefined): Cleaned | null {
  const key = [...clouds.value.keys()].find((one) => Number(one.split(":")[0]) === scan);
  const record = key === undefined ? undefined : clouds.value.get(key);
  const at = scan === undefined ? null : roundOf(masks.value.keys(), scan, round.value);
  const mask = masks.value.get(`${scan}:${at}`);
  const picture = scan === undefined ? undefined : pictures.value.get(scan);
  const cloud = useMemo(() => (record ? readCloud(bytesOf(record.points), record.scale_m) : null), [record]);
  return useMemo(() => (record ? cleaned(record, cloud!, picture, mask) : null), [record, picture, mask]);
}

function findingOf({ counts, truth, round: at }: Cleaned, scan: number): string {
  const outliers = truth.length - truth.reduce((total, one) => total + one, 0);
  return say("points.finding", {
    round: at, scan: scan + 1, points: whole(counts.points), outliers: whole(outliers),
    left: whole(counts.wronglyKept), removed: whole(counts.wronglyRemoved), iou: share(counts.iou),
  });
}

function modelOf({ kept, truth }: Cleaned): Selection {
  return scored(kept.map((one) => 1 - one), truth);
}

function yoursWords(yours: Selection, one: Cleaned): string {
  return say("points.yours", {
    n: yours.chosen, chosen: whole(yours.chosen), outliers: whole(yours.outliers), iou: share(yours.iou),
    model: share(modelOf(one).iou),
  });
}

interface PicturesProps {
  one: Cleaned;
  picked: Uint8Array | null;
  turn: Turn;
  finding: string;
  drawing: boolean;
  onTurn: (turn: Turn) => void;
  onLasso: (line: Line) => void;
}

function Pictures({ one, picked, turn, finding, drawing, onTurn, onLasso }: PicturesProps) {
  const [box, width] = useWidth();
  const { places } = one.cloud;
  const sides = useMemo(
    () => [["before", before(one.truth, picked)], ["after", after(one, picked)]] as const,
    [one, picked],
  );
  const wide = width >= NARROW;
  const size = Math.min(LARGEST, Math.floor(hasWebGL() ? (wide ? (width - 12) / 2 : width) : (width - 24) / 3));
  return (
    <div class="points" ref={box}>
      {size > 0 && sides.map(([side, marks]) => (
        <figure class={hasWebGL() ? "" : "flat"}>
          <figcaption>{say(`points.${side}`)}</figcaption>
          {hasWebGL() ? (
            <Lasso size={size} turn={turn} drawing={drawing} onTurn={onTurn} onLasso={onLasso}>
              <Turned places={places} marks={marks} turn={turn} size={size} words={`${say(`points.${side}`)}: ${finding}`} />
            </Lasso>
          ) : (
            <div class="row">
              {NAMES.map((view) => <Flat places={places} marks={marks} view={view} size={size} words={say(`points.${side}`)} />)}
            </div>
          )}
        </figure>
      ))}
      <Colours />
    </div>
  );
}

interface ScansProps {
  scans: readonly number[];
  chosen: number;
  onChoose: (scan: number) => void;
}

function Scans({ scans, chosen, onChoose }: ScansProps) {
  if (scans.length < 2) return null;
  return (
    <>
      {scans.map((scan) => (
        <button aria-pressed={scan === chosen} onClick={() => onChoose(scan)}>
          {say("masks.number", { scan: scan + 1 })}
        </button>
      ))}
    </>
  );
}

/** What the canvases take their colours from. */
function Colours() {
  return <span hidden>{["dot", "cross", "ring", "chosen"].map((kind) => <i class={`of-${kind}`} />)}</span>;
}

function Turns({ turn, onTurn }: { turn: Turn; onTurn: (turn: Turn) => void }) {
  const degrees = (radians: number) => Math.round((radians * 180) / Math.PI);
  const [yaw, pitch] = [degrees(turn.yaw), degrees(turn.pitch)];
  const radians = (value: number) => (value * Math.PI) / 180;
  return (
    <>
      <Range label={say("points.turn")} min={-180} max={180} step={5} value={yaw} words={`${plain(yaw)}°`} onValue={(value) => onTurn({ ...turn, yaw: radians(value) })} />
      <Range label={say("points.tilt")} min={-90} max={90} step={5} value={pitch} words={`${plain(pitch)}°`} onValue={(value) => onTurn({ ...turn, pitch: radians(value) })} />
      {NAMES.map((view: ViewName) => <button onClick={() => onTurn(VIEWS[view])}>{say(`points.${view}`)}</button>)}
    </>
  );
}

/** The marks as letters, since a picture in SVG could be taken for the one to save. */
function Legend() {
  const marks = [["dot", "•"], ["cross", "✕"], ["ring", "○"]] as const;
  return (
    <p class="note keys">
      {marks.map(([kind, sign]) => (
        <span><span class={`of-${kind}`} aria-hidden="true">{sign}</span> {say(`points.${kind}`)}</span>
      ))}
    </p>
  );
}

function tableOf(one: Cleaned, yours: Selection | null): TableContent {
  const head = (["who", "chosen_head", "outliers_head", "precision", "recall", "iou_head"] as const).map((key) => say(`points.${key}`));
  const row = (who: string, { chosen, outliers, precision, recall, iou }: Selection) =>
    [who, chosen, outliers, share(precision), share(recall), share(iou)];
  const rows = [row(say("points.model"), modelOf(one))];
  if (yours) rows.push(row(say("points.you"), yours));
  return { caption: say("points.table", { radius: three(one.cloud.radius_m) }), head, rows };
}
