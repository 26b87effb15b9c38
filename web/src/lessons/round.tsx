// Lesson 3: place the step of a round by hand, then uncover how the rule finds it.
import { useSignal } from "@preact/signals";
import { share } from "../format";
import { Range } from "../parts/Range";
import { Table } from "../parts/Table";
import { useWidth } from "../size";
import { say } from "../words";
import type { PartProps, Play } from "./lesson";
import { angleOf, type Arrow, between, long, playRound, scaled } from "./plane";

interface RoundData {
  arrows: [number, number][];
  attacks: string[];
  keep: number;
  /** The step of the chain. */
  gradient: [number, number];
}
interface Placed { angle: number; length: number }

const LETTERS = "ABCDEFGH";
const STAGES = ["sum", "cosines", "cut", "step"] as const;

export const roundPlay: Play<Placed, RoundData> = {
  start: (data) => ({ angle: 90, length: longest(data) / 2 }),
  Predict,
  Try,
  words: ({ angle, length }) => say("lessons.said_step", { angle, length: share(length) }),
  off: ({ angle }, data) => say("lessons.off_step", { off: Math.round(between(angle, angleOf(data.gradient))) }),
};

function longest(data: RoundData): number {
  return Math.max(...data.arrows.map(long));
}

function Predict({ data, progress }: PartProps<Placed, RoundData>) {
  const placed = progress.prediction.value;
  const most = longest(data);
  return (
    <>
      <Plane data={data} placed={placed} stage={0} {...(progress.locked.value ? {} : { onPlace: (to: Placed) => progress.say(to) })} />
      <div class="sliders">
        <Range label={say("lessons.angle")} min={-180} max={180} value={placed.angle} words={`${placed.angle}°`} onValue={(angle) => progress.say({ ...placed, angle })} />
        <Range label={say("lessons.length")} min={most / 20} max={most} step={most / 20} value={placed.length} words={share(placed.length)} onValue={(length) => progress.say({ ...placed, length })} />
      </div>
    </>
  );
}

function Try({ data, progress }: PartProps<Placed, RoundData>) {
  const stage = useSignal(0);
  const round = playRound(data.arrows, data.keep);
  const next = STAGES[stage.value];
  const rows = data.arrows.map((arrow, place) => [
    LETTERS[place]!,
    share(round.cosines[place]!),
    `${Math.round((Math.acos(Math.max(-1, Math.min(1, round.cosines[place]!))) * 180) / Math.PI)}°`,
    share(long(arrow)),
    stage.value < 3 ? "" : say(round.used[place] ? "lessons.is_used" : "lessons.is_left"),
  ]);
  const head = [say("lessons.arrow"), say("lessons.cosine"), say("lessons.angle"), say("lessons.length"), say("lessons.fate")];
  return (
    <>
      <Plane data={data} placed={progress.prediction.value} stage={stage.value} />
      <p role="status">{stage.value > 0 && say(`lessons.stage_${STAGES[stage.value - 1]!}`, { median: share(round.median), keep: data.keep })}</p>
      {next && <button onClick={() => (stage.value += 1)}>{say(`lessons.reveal_${next}`)}</button>}
      {stage.value >= 2 && <Table head={head} rows={rows} />}
    </>
  );
}

interface PlaneProps {
  data: RoundData;
  placed: Placed;
  /** How much is uncovered: 0 nothing, then the sum, the cosines, the cut, the step. */
  stage: number;
  onPlace?: (placed: Placed) => void;
}

function Plane({ data, placed, stage, onPlace }: PlaneProps) {
  const [box, width] = useWidth();
  const size = Math.min(width, 380);
  const most = longest(data);
  const unit = (size / 2 - 26) / most;
  const round = playRound(data.arrows, data.keep);
  const radians = (placed.angle * Math.PI) / 180;
  const mine: Arrow = [placed.length * Math.cos(radians), placed.length * Math.sin(radians)];
  const place = (event: PointerEvent) => {
    if (!onPlace || !event.buttons) return;
    const frame = (event.currentTarget as SVGElement).getBoundingClientRect();
    const to: Arrow = [(event.clientX - frame.left - size / 2) / unit, (size / 2 - event.clientY + frame.top) / unit];
    onPlace({ angle: Math.round(angleOf(to)), length: Math.min(most, Math.max(most / 20, long(to))) });
  };
  return (
    <div ref={box} class="picture">
      {size > 0 && (
        <svg class={onPlace ? "plane drawn" : "plane"} width={size} height={size} role="img" aria-label={say("lessons.plane")} onPointerDown={place} onPointerMove={place}>
          <g transform={`translate(${size / 2} ${size / 2})`}>
            <circle class="grid" r={round.median * unit} />
            <path class="grid" d={`M${-size / 2} 0h${size}M0 ${-size / 2}v${size}`} />
            {stage >= 1 && <Ray arrow={scaled(round.sum, (most * 0.9) / long(round.sum))} unit={unit} kind="sum" name={say("lessons.sum")} />}
            {data.arrows.map((arrow, at) => {
              const left = stage >= 3 && !round.used[at];
              const attacks = stage >= 4 && data.attacks[at] !== "";
              return <Ray arrow={arrow} unit={unit} kind={`sent${left ? " left" : ""}${attacks ? " attacks" : ""}`} name={`${LETTERS[at]}${attacks ? " ✕" : ""}`} />;
            })}
            <Ray arrow={mine} unit={unit} kind="mine" name={say("lessons.yours")} />
            {stage >= 4 && <Ray arrow={data.gradient} unit={unit} kind="step" name={say("lessons.step")} />}
          </g>
        </svg>
      )}
    </div>
  );
}

/** Names of arrows that may lie close together stand apart. */
const SHIFTS: Record<string, number> = { mine: -8, step: 16 };

function Ray({ arrow, unit, kind, name }: { arrow: Arrow; unit: number; kind: string; name: string }) {
  const [x, y] = [arrow[0] * unit, -arrow[1] * unit];
  const turn = -angleOf(arrow);
  const away = scaled([x, y], 1 + 14 / Math.hypot(x, y));
  return (
    <g class={`vector ${kind}`}>
      <path class="shaft" d={`M0 0L${x} ${y}`} />
      <path class="head" transform={`translate(${x} ${y}) rotate(${turn})`} d="M0 0l-9 -4.5v9z" />
      <text x={away[0]} y={away[1] + (SHIFTS[kind] ?? 4)} text-anchor="middle">{name}</text>
    </g>
  );
}
