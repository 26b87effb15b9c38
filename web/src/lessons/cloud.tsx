// A cloud of points seen from one side, a path for each state.
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
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
            {paths.map((path, state) => path && <path class={`point ${CLASSES[state]}`} d={path} />)}
          </svg>
          {children?.(flat, size)}
        </div>
      )}
    </div>
  );
}

/** A path for each state: squares, and crosses for what is wrong, so that hue is not all. */
function pathsOf(flat: Float32Array, states: Uint8Array): string[] {
  const parts: string[][] = [[], [], [], [], []];
  states.forEach((state, at) => {
    const [x, y] = [flat[2 * at]!.toFixed(1), flat[2 * at + 1]!.toFixed(1)];
    parts[state]!.push(state >= 3 ? `M${x} ${y}m-2-2l4 4m0-4l-4 4` : `M${x} ${y}m-.8-.8h1.6v1.6h-1.6z`);
  });
  return parts.map((part) => part.join(""));
}
