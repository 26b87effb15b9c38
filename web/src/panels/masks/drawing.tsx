// A scan and the model's mask, drawn pixel by pixel.
import { useMemo } from "preact/hooks";
import { bitsOf, bytesOf, type PictureRecord } from "../../records";
import { say } from "../../words";
import { brightness, greys, NOTHING, pathsOf } from "./paths";
import { STATE } from "./pixels";

/** Intensity or depth of a scan in grey; pixels without a point stay empty. */
export function Greys({ picture, depth }: { picture: PictureRecord; depth: boolean }) {
  const paths = useMemo(() => {
    const values = bytesOf(depth && picture.depth ? picture.depth : picture.intensity);
    const valid = bitsOf(picture.valid, picture.height * picture.width);
    return pathsOf(greys(values, valid), picture.width, NOTHING);
  }, [picture, depth]);
  return (
    <>
      {[...paths].map(([level, path]) => {
        const grey = brightness(level);
        return <path d={path} fill={`rgb(${grey},${grey},${grey})`} />;
      })}
    </>
  );
}

const CLASSES = ["", "kept", "removed", "wrongly-kept", "wrongly-removed"] as const;

/** What became of each pixel. Errors have a line across every pixel, so that hue is not all. */
export function States({ states, width }: { states: Uint8Array; width: number }) {
  const paths = useMemo(() => [...pathsOf(states, width, STATE.nothing)], [states, width]);
  return (
    <>
      {paths.map(([state, path]) => <path class={`pixel ${CLASSES[state]}`} d={path} />)}
      {paths
        .filter(([state]) => state >= STATE.wronglyKept)
        .map(([state, path]) => <path fill={`url(#${state === STATE.wronglyKept ? FALLING : RISING})`} d={path} />)}
    </>
  );
}

const FALLING = "masks-falling";
const RISING = "masks-rising";

/** The lines across wrong pixels, of every mask on the page. */
export function Lines() {
  const lines = [[FALLING, "M0 0L1 1"], [RISING, "M0 1L1 0"]] as const;
  return (
    <defs>
      {lines.map(([id, path]) => (
        <pattern id={id} width={1} height={1} patternUnits="userSpaceOnUse">
          <path class={`line-across ${id}`} d={path} />
        </pattern>
      ))}
    </defs>
  );
}

/** A pixel of a state beside its words. */
function Swatch({ state }: { state: number }) {
  return (
    <svg class="swatch" width={14} height={14} viewBox="0 0 1 1" aria-hidden="true">
      <States states={Uint8Array.of(state)} width={1} />
    </svg>
  );
}

/** What the looks of the pixels say. */
export function Legend() {
  const words = [
    [STATE.kept, "kept"], [STATE.removed, "removed"],
    [STATE.wronglyKept, "wrongly_kept"], [STATE.wronglyRemoved, "wrongly_removed"],
  ] as const;
  return (
    <p class="note keys">
      {words.map(([state, key]) => <span><Swatch state={state} /> {say(`masks.${key}`)}</span>)}
    </p>
  );
}
