// What a pointer does over a cloud: it turns the cloud, or draws a lasso.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Turn } from "./projection";

/** Corners of a lasso, x and y from 0 to 1. */
export type Line = readonly (readonly [number, number])[];

interface LassoProps {
  size: number;
  turn: Turn;
  drawing: boolean;
  children: ComponentChildren;
  onTurn: (turn: Turn) => void;
  onLasso: (line: Line) => void;
}

export function Lasso({ size, turn, drawing, children, onTurn, onLasso }: LassoProps) {
  const [line, setLine] = useState<Line>([]);
  const [last, setLast] = useState<readonly [number, number]>([0, 0]);
  const at = (event: PointerEvent): readonly [number, number] => {
    const area = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  const move = (event: PointerEvent) => {
    if (!(event.currentTarget as HTMLElement).hasPointerCapture(event.pointerId)) return;
    const here = at(event);
    if (drawing) return setLine([...line, here]);
    const pitch = turn.pitch + (here[1] - last[1]) * Math.PI;
    onTurn({
      yaw: within(turn.yaw + (here[0] - last[0]) * Math.PI),
      pitch: Math.max(-Math.PI / 2, Math.min(Math.PI / 2, pitch)),
    });
    setLast(here);
  };
  return (
    <div
      class={drawing ? "lasso drawing" : "lasso"}
      style={{ width: `${size}px`, height: `${size}px` }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setLast(at(event));
        setLine(drawing ? [at(event)] : []);
      }}
      onPointerMove={move}
      onPointerUp={() => {
        if (drawing && line.length > 2) onLasso(line);
        setLine([]);
      }}
    >
      {children}
      {line.length > 1 && <Drawn line={line} size={size} />}
    </div>
  );
}

function Drawn({ line, size }: { line: Line; size: number }) {
  const corners = line.map(([x, y]) => `${(x * size).toFixed(1)} ${(y * size).toFixed(1)}`);
  return (
    <svg class="line" width={size} height={size} aria-hidden="true">
      <path d={`M${corners.join("L")}Z`} />
    </svg>
  );
}

/** An angle between -pi and pi. */
function within(angle: number): number {
  return angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
}
