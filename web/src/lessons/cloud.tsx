// A cloud of points seen from one side, a path for each state.
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { STATE } from "../panels/masks/pixels";
import { type Cloud, projected, VIEWS, type ViewName } from "../panels/points/projection";
import { useWidth } from "../size";

export const LARGEST = 460;
const CLASSES = ["plain", "kept", "removed", "wrongly-kept", "wrongly-removed"] as const;

interface CloudProps {
  cloud: Cloud;
  view: ViewName;
  /** A state a point: 0 plain, then those of a mask. */
  states: Uint8Array;
  name: string;
  children?: (flat: Float32Array, size: number) => ComponentChildren;
}

export function CloudPicture({ cloud, view, states, name, children }: CloudProps) {
  const [box, width] = useWidth();
  const size = Math.min(width, LARGEST);
  const flat = useMemo(() => projected(cloud.places, VIEWS[view], size), [cloud, view, size]);
  const paths = useMemo(() => pathsOf(flat, states), [flat, states]);
  return (
    <div ref={box} class="picture cloud-box">
      {size > 0 && (
        <div class="cloud" style={{ width: `${size}px`, height: `${size}px` }}>
          <svg width={size} height={size} role="img" aria-label={name}>
            {paths.map((path, state) => path && <path class={classOf(state)} d={path} />)}
          </svg>
          {children?.(flat, size)}
        </div>
      )}
    </div>
  );
}

export function classOf(state: number): string {
  return `point ${CLASSES[state]}`;
}

/** The mark of a point: a square, or a cross for what is wrong, so that hue is not all. */
export function markAt(x: number, y: number, state: number, size = 1): string {
  const [half, side] = state >= STATE.wronglyKept ? [2 * Math.sqrt(size), 0] : [0.8 * size, 1.6 * size];
  const start = `M${x.toFixed(1)} ${y.toFixed(1)}m-${half}-${half}`;
  return side ? `${start}h${side}v${side}h-${side}z` : `${start}l${2 * half} ${2 * half}m0-${2 * half}l-${2 * half} ${2 * half}`;
}

/** A path for each state. */
function pathsOf(flat: Float32Array, states: Uint8Array): string[] {
  const parts: string[][] = [[], [], [], [], []];
  states.forEach((state, at) => {
    parts[state]!.push(markAt(flat[2 * at]!, flat[2 * at + 1]!, state));
  });
  return parts.map((part) => part.join(""));
}
