// Points of a cloud: by WebGL, turned together; without it as three projections.
import { useEffect, useRef } from "preact/hooks";
import { printing, theme } from "../../state";
import { say } from "../../words";
import type * as chunk from "./chunk";
import { MARK } from "./marks";
import { projected, type Turn, type ViewName, VIEWS } from "./projection";

/** What points.js brings; undefined where a page has no clouds, or the browser no WebGL. */
const drawer = (globalThis as { fedchainPoints?: typeof chunk }).fedchainPoints;
let able: boolean | undefined;

/** Whether clouds are drawn by WebGL; tried once. */
export function hasWebGL(): boolean {
  able ??= drawer?.canDraw() === true;
  return able;
}

interface TurnedProps {
  places: Float32Array;
  marks: Uint8Array;
  turn: Turn;
  size: number;
  words: string;
}

/** A cloud on a canvas. */
export function Turned({ places, marks, turn, size, words }: TurnedProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawing = useRef<chunk.Drawing | null>(null);
  const draw = () => drawing.current?.draw(turn, size, coloursAt(canvas.current!));
  useEffect(() => {
    drawing.current = drawer!.drawingOf(canvas.current!, places);
    return () => drawing.current?.end();
  }, [places]);
  useEffect(() => drawing.current?.mark(marks), [marks, places]);
  const shade = `${theme.value} ${printing.value}`;
  useEffect(draw, [places, marks, turn, size, shade]);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => dark.removeEventListener("change", draw);
  });
  return <canvas ref={canvas} width={size} height={size} role="img" aria-label={words} />;
}

/** The colours of the legend beside a canvas, as the style sheet has them now. */
function coloursAt(canvas: HTMLElement): chunk.Colours {
  const panel = canvas.closest(".points")!;
  const of = (kind: string) => {
    const found = getComputedStyle(panel.querySelector(`.of-${kind}`)!).color.match(/[\d.]+/g) ?? [];
    return found.slice(0, 3).map((part) => Number(part) / 255);
  };
  return { dot: of("dot"), cross: of("cross"), ring: of("ring"), chosen: of("chosen") };
}

interface FlatProps {
  places: Float32Array;
  marks: Uint8Array;
  view: ViewName;
  size: number;
  words: string;
}

/** A projection as SVG: one path a kind of mark. */
export function Flat({ places, marks, view, size, words }: FlatProps) {
  const flat = projected(places, VIEWS[view], size);
  const kinds = [["dot", MARK.dot], ["cross", MARK.cross], ["ring", MARK.ring]] as const;
  return (
    <figure>
      <svg width={size} height={size} role="img" aria-label={`${words}, ${say(`points.${view}`)}`}>
        {kinds.map(([kind, mark]) => <path class={`mark-${kind}`} d={pathOf(flat, marks, mark)} />)}
      </svg>
      <figcaption>{say(`points.${view}`)}</figcaption>
    </figure>
  );
}

const SHAPES: Readonly<Record<number, string>> = {
  [MARK.dot]: "h0", [MARK.cross]: "m-3 -3l6 6m0 -6l-6 6", [MARK.ring]: "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",
};

function pathOf(flat: Float32Array, marks: Uint8Array, mark: number): string {
  const parts: string[] = [];
  marks.forEach((one, at) => {
    if (one % MARK.chosen === mark) parts.push(`M${flat[2 * at]!.toFixed(1)} ${flat[2 * at + 1]!.toFixed(1)}${SHAPES[mark]}`);
  });
  return parts.join("");
}
