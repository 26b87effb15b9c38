// A message as a dot: fill says used, hue and cross say whose. A cross stands for an attacker only
// where the page may show who attacks.
import { DOT } from "./geometry";

export interface MarkProps {
  x: number;
  y: number;
  used: boolean;
  attacks: boolean;
  /** Text of the tooltip. */
  words?: string;
  pointed?: boolean;
  onPoint?: (on: boolean) => void;
}

export function Mark({ x, y, used, attacks, words, pointed, onPoint }: MarkProps) {
  const arm = DOT * 0.45;
  return (
    <g
      class={`dot ${attacks ? "attacks" : "honest"} ${used ? "used" : "left"} ${pointed ? "pointed" : ""}`}
      transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}
      onPointerEnter={onPoint && (() => onPoint(true))}
      onPointerLeave={onPoint && (() => onPoint(false))}
    >
      {words && <title>{words}</title>}
      <circle r={DOT - 0.75} />
      {attacks && <path d={`M${-arm} ${-arm}L${arm} ${arm}M${-arm} ${arm}L${arm} ${-arm}`} />}
    </g>
  );
}

/** The handle with which the cut is dragged: 24 pixels to touch. The slider is its keyboard. */
export function Handle({ x, y, onDrag }: { x: number; y: number; onDrag: (event: PointerEvent) => void }) {
  return (
    <g
      class="handle"
      transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) onDrag(event);
      }}
    >
      <circle class="reach" r={12} />
      <circle r={8} />
      <path d="M-2 -3V3M2 -3V3" />
    </g>
  );
}
