// The timeline at the foot of the page: rounds with their marks, steps, and how fast they play.
import { useComputed } from "@preact/signals";
import { changeSpeed, chooseRound, moveStep, togglePlay } from "./moves";
import { marksOf, placed, type Mark, type MarkKind } from "./marks";
import { useWidth } from "./size";
import {
  lastRound, playing, refusals, retold, round, rounds, run, speed, step, STEPS, told, truth,
} from "./state";
import { say, type Key } from "./words";

export function Timeline() {
  return (
    <footer class="timeline" aria-label={say("timeline.title")}>
      <button class="play" onClick={togglePlay} aria-label={say(playing.value ? "timeline.pause" : "timeline.play")}>
        <span aria-hidden="true">{playing.value ? "❚❚" : "▶"}</span>
      </button>
      <Steps />
      <Track />
      <Speed />
    </footer>
  );
}

function Steps() {
  const name = say(`timeline.${STEPS[step.value]}` as Key);
  return (
    <div class="steps">
      <button class="quiet" onClick={() => moveStep(-1)} aria-label={say("timeline.step_back")}>‹</button>
      <span class="step">{say("timeline.label", { round: round.value, step: name })}</span>
      <button class="quiet" onClick={() => moveStep(1)} aria-label={say("timeline.step_on")}>›</button>
    </div>
  );
}

/** Half the width of a slider's handle: the track's ends lie so far inside the slider. */
const INSET = 8;

function Track() {
  const [box, width] = useWidth();
  const first = told.value[0] ?? 0;
  const last = Math.max(first + 1, lastRound.value);
  return (
    <div class="track" ref={box}>
      <Marks width={width} first={first} last={last} />
      <input
        type="range"
        aria-label={say("timeline.round")}
        aria-valuetext={say("header.round", { round: round.value, rounds: run.value?.rounds ?? 0 })}
        min={first}
        max={last}
        value={round.value}
        onInput={(event) => chooseRound(Number(event.currentTarget.value))}
      />
    </div>
  );
}

/** The marks do not depend on the round that is shown: moving through rounds draws none anew. */
function Marks({ width, first, last }: { width: number; first: number; last: number }) {
  const place = (at: number) => INSET + ((width - 2 * INSET) * (at - first)) / (last - first);
  const marks = useComputed(() => {
    const all = told.value.map((at) => rounds.value.get(at)!);
    return marksOf(all, refusals.value, retold.value, truth.value);
  }).value;
  return (
    <svg width={width} height={16} role="img" aria-label={markWords(marks)}>
      {placed(marks, place).map(({ x, ...mark }) => <Sign mark={mark} x={x} />)}
    </svg>
  );
}

const SHAPES: Record<MarkKind, string> = {
  attack: "M-5 4 L5 4 L0 14 Z",
  stale: "M-4 5 H4 V13 H-4 Z",
  reorganised: "M-3 3 V15 M3 3 V15",
  refused: "M-4 5 L4 13 M4 5 L-4 13",
};

function Sign({ mark: { kind, round: at }, x }: { mark: Mark; x: number }) {
  return (
    <path class={`mark ${kind}`} d={SHAPES[kind]} transform={`translate(${x.toFixed(1)} 0)`}>
      <title>{say(`timeline.mark_${kind}` as Key, { round: at })}</title>
    </path>
  );
}

/** The marks in words: the first of each kind, and how many there are. */
function markWords(marks: readonly Mark[]): string {
  const kinds = [...new Set(marks.map((mark) => mark.kind))];
  const words = kinds.map((kind) => {
    const all = marks.filter((mark) => mark.kind === kind);
    return say(`timeline.marks_${kind}` as Key, { n: all.length, round: all[0]!.round });
  });
  return words.join("; ") || say("timeline.no_marks");
}

function Speed() {
  const words = say("timeline.speed", { speed: String(speed.value).replace(/^0\./, ".") });
  return (
    <div class="speed">
      <button class="quiet" onClick={() => changeSpeed(-1)} aria-label={say("timeline.slower")}>−</button>
      <span aria-label={say("timeline.speed_words", { speed: speed.value })} role="img">{words}</span>
      <button class="quiet" onClick={() => changeSpeed(1)} aria-label={say("timeline.faster")}>+</button>
    </div>
  );
}
