// How the reader moves through the run: by rounds, by steps of a round, or by playing it.
import { batch } from "@preact/signals";
import {
  clock, ended, following, lastRound, playing, round, rounds, speed, step, STEPS, told, trips, WHOLE,
} from "./state";
import { nearestRound, span, stepAt, stepEnds } from "./time";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
/** With reduced motion, playing goes from step to step, this many seconds apart at speed 1. */
const STEP_SECONDS = 1;

function ends(at: number): number[] {
  return stepEnds(span(rounds.value, told.value, at), trips.value.get(at) ?? []);
}

/** A round that an address asks for and that is not told yet, with its step. */
let awaited: { asked: number; at: number } | null = null;

/** Show a round once it is told; until then, the newest one. */
export function awaitRound(asked: number, at: number): void {
  if (asked <= lastRound.value || ended.value !== null) chooseRound(asked, at);
  else awaited = { asked, at };
}

/** Show the told round nearest to the asked one, whole or at one of its steps. */
export function chooseRound(asked: number, at: number = WHOLE): void {
  awaited = null;
  batch(() => {
    const found = nearestRound(told.value, asked);
    round.value = found;
    step.value = Math.max(0, Math.min(WHOLE, at));
    clock.value = ends(found)[step.value] ?? 0;
    following.value = found === lastRound.value && step.value === WHOLE;
  });
}

/** Show a moment of the round, in simulated seconds since genesis. */
export function chooseMoment(time: number): void {
  batch(() => {
    clock.value = time;
    step.value = stepAt(ends(round.value), time);
    following.value = false;
  });
}

/** Go so many told rounds forwards or backwards. */
export function moveRound(by: number): void {
  const at = told.value.indexOf(round.value);
  chooseRound(told.value[Math.max(0, Math.min(told.value.length - 1, at + by))] ?? 0);
}

/** Go so many steps forwards or backwards, into the round before or after where need be. */
export function moveStep(by: number): void {
  const at = told.value.indexOf(round.value) * STEPS.length + step.value + by;
  const within = Math.max(0, Math.min(told.value.length * STEPS.length - 1, at));
  chooseRound(told.value[Math.floor(within / STEPS.length)] ?? 0, within % STEPS.length);
}

export function changeSpeed(by: number): void {
  const at = SPEEDS.indexOf(speed.value) + by;
  speed.value = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))]!;
}

/** Play from here, or from the beginning where the run is at its end. */
export function togglePlay(): void {
  if (playing.value) {
    playing.value = false;
    return;
  }
  if (round.value === lastRound.value && step.value === WHOLE) chooseRound(told.value[0] ?? 0, 0);
  playing.value = true;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) playSteps();
  else playSmoothly(performance.now());
}

function playSmoothly(before: number): void {
  requestAnimationFrame((now) => {
    if (!playing.value) return;
    advance(((now - before) / 1000) * speed.value);
    playSmoothly(now);
  });
}

function playSteps(): void {
  setTimeout(() => {
    if (!playing.value) return;
    moveStep(1);
    if (atEnd()) playing.value = false;
    playSteps();
  }, (STEP_SECONDS * 1000) / speed.value);
}

function atEnd(): boolean {
  return round.value === lastRound.value && step.value === WHOLE && ended.value !== null;
}

/** Let so many simulated seconds pass. */
function advance(seconds: number): void {
  batch(() => {
    const now = clock.value + seconds;
    const over = ends(round.value).at(-1) ?? 0;
    const next = told.value[told.value.indexOf(round.value) + 1];
    if (now < over) {
      clock.value = now;
      step.value = stepAt(ends(round.value), now);
    } else if (next !== undefined) {
      round.value = next;
      clock.value = Math.max(now, span(rounds.value, told.value, next)[0]);
      step.value = stepAt(ends(next), clock.value);
      following.value = false;
    } else {
      chooseRound(round.value);
      if (ended.value !== null) playing.value = false;
    }
  });
}

/** Show the newest round, if the reader has not chosen another. */
export function follow(): void {
  const waiting = awaited;
  if (following.value && !playing.value) chooseRound(lastRound.value);
  if (waiting) awaitRound(waiting.asked, waiting.at);
}
