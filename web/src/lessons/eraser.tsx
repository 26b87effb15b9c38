// Erases points: by a line drawn around them, or by a round brush that arrow keys move.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { whole } from "../format";
import { inside, readCloud, type ViewName } from "../panels/points/projection";
import { bytesOf } from "../records";
import { say } from "../words";
import { CloudPicture } from "./cloud";
import type { Progress } from "./lesson";
import { type PointsData, Views } from "./points";

type Place = readonly [number, number];
interface Brush { x: number; y: number; radius: number }

const STEPS: Record<string, Place> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 0.02;

export function Eraser({ data, progress }: { data: PointsData; progress: Progress<Uint8Array> }) {
  const view = useSignal<ViewName>("front");
  const brush = useSignal<Brush>({ x: 0.5, y: 0.5, radius: 0.06 });
  const lasso = useSignal<Place[]>([]);
  const before = useSignal<Uint8Array[]>([]);
  const cloud = useMemo(() => readCloud(bytesOf(data.points), data.scale_m), [data]);
  const erased = progress.prediction.value;
  const open = !progress.locked.value;
  const put = (chosen: Uint8Array, erase: boolean) => {
    before.value = [...before.value, erased];
    progress.say(erased.map((old, at) => (chosen[at] ? Number(erase) : old)));
  };
  const undo = () => {
    const last = before.value.at(-1);
    if (!last) return;
    before.value = before.value.slice(0, -1);
    progress.say(last);
  };
  const states = useMemo(() => erased.map((one) => (one ? 2 : 0)), [erased]);
  const count = erased.reduce((sum, one) => sum + one, 0);
  return (
    <>
      <Views view={view.value} onView={(name) => (view.value = name)} name="view-of-guess" />
      <CloudPicture cloud={cloud} view={view.value} states={states} name={say("lessons.cloud", { n: whole(data.count) })}>
        {(flat, size) => open && <Surface flat={flat} size={size} brush={brush} lasso={lasso} onErase={put} onUndo={undo} />}
      </CloudPicture>
      <p class="note">{say("lessons.eraser_keys")}</p>
      <div class="controls">
        <button disabled={!before.value.length} onClick={undo}>{say("lessons.undo")}</button>
        <span role="status">{say("lessons.erased", { n: whole(count), all: whole(data.count) })}</span>
      </div>
    </>
  );
}

interface SurfaceProps {
  flat: Float32Array;
  size: number;
  brush: { value: Brush };
  lasso: { value: Place[] };
  onErase: (chosen: Uint8Array, erase: boolean) => void;
  onUndo: () => void;
}

/** What lies over the points and takes keys and pointer. */
function Surface({ flat, size, brush, lasso, onErase, onUndo }: SurfaceProps) {
  const { x, y, radius } = brush.value;
  const keyed = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step) brush.value = { ...brush.value, x: clamped(x + step[0] * STEP), y: clamped(y + step[1] * STEP) };
    else if (event.key === "+") brush.value = { ...brush.value, radius: Math.min(0.4, radius + STEP) };
    else if (event.key === "-") brush.value = { ...brush.value, radius: Math.max(STEP, radius - STEP) };
    else if (event.key === "Enter" || event.key === " ") onErase(within(flat, x * size, y * size, radius * size), !event.shiftKey);
    else if (event.key === "Backspace") onUndo();
    else return;
    event.preventDefault();
  };
  const drawn = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const place: Place = [event.clientX - box.left, event.clientY - box.top];
    if (event.type === "pointerdown") lasso.value = [place];
    else if (event.buttons && lasso.value.length) lasso.value = [...lasso.value, place];
  };
  const done = (event: PointerEvent) => {
    if (lasso.value.length > 2) onErase(inside(lasso.value, flat), !event.shiftKey);
    lasso.value = [];
  };
  return (
    <div class="surface" role="application" tabIndex={0} aria-label={say("lessons.eraser")} aria-roledescription={say("lessons.brush")} onKeyDown={keyed} onPointerDown={drawn} onPointerMove={drawn} onPointerUp={done} onPointerLeave={done}>
      <svg width={size} height={size} aria-hidden="true">
        <circle class="brush" cx={x * size} cy={y * size} r={radius * size} />
        {lasso.value.length > 1 && <path class="lasso" d={`M${lasso.value.map((at) => at.join(" ")).join("L")}`} />}
      </svg>
    </div>
  );
}

function clamped(place: number): number {
  return Math.min(1, Math.max(0, place));
}

/** Which points lie in a circle. */
function within(flat: Float32Array, x: number, y: number, radius: number): Uint8Array {
  const found = new Uint8Array(flat.length / 2);
  for (let at = 0; at < found.length; at += 1) found[at] = Math.hypot(flat[2 * at]! - x, flat[2 * at + 1]! - y) <= radius ? 1 : 0;
  return found;
}
