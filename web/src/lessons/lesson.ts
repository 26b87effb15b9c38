// What a lesson is: its texts and data from the file, and what the reader has said so far.
import { type Signal, signal } from "@preact/signals";
import type { JSX } from "preact";

interface Option {
  text: string;
  right?: boolean;
  /** The misconception behind a wrong answer. */
  misconception?: string;
}

export interface ExitQuestion {
  question: string;
  options: Option[];
}

interface Texts {
  title: string;
  question: string;
  /** How to predict. */
  predict: string;
  /** What to try. */
  do: string;
  answer: string;
  finding: string;
  not_shown: string;
  code_says: string;
  exit: ExitQuestion[];
}

export interface LessonRecord<Data = unknown> {
  name: string;
  number: number;
  /** Where the package computes it: `path.py:function`. */
  code: string;
  scenarios: string[];
  texts: Texts;
  data: Data;
}

/** What the reader has done in a lesson. A prediction cannot be changed once it is locked. */
export class Progress<Prediction = unknown> {
  readonly prediction: Signal<Prediction>;
  /** Whether the reader has touched the prediction. */
  readonly said = signal(false);
  readonly locked = signal(false);
  /** Whether the answer is shown. */
  readonly shown = signal(false);
  /** The chosen option of each exit question. */
  readonly chosen: Signal<(number | null)[]>;

  constructor(start: Prediction, questions: number) {
    this.prediction = signal(start);
    this.chosen = signal(Array.from({ length: questions }, () => null));
  }

  say(prediction: Prediction): void {
    if (this.locked.value) return;
    this.prediction.value = prediction;
    this.said.value = true;
  }
}

export interface PartProps<Prediction, Data> {
  data: Data;
  progress: Progress<Prediction>;
}

/** What differs between lessons. */
export interface Play<Prediction, Data> {
  /** The prediction before the reader has touched it. */
  start: (data: Data) => Prediction;
  Predict: (props: PartProps<Prediction, Data>) => JSX.Element;
  Try: (props: PartProps<Prediction, Data>) => JSX.Element;
  /** The prediction in words; it says nothing of the answer. */
  words: (prediction: Prediction, data: Data) => string;
  /** How far the prediction is from what was measured, where the answer does not say so. */
  off?: (prediction: Prediction, data: Data) => string;
}

export type AnyPlay = Play<any, any>;

/** A lesson that is ready to be played. */
export interface Lesson {
  record: LessonRecord;
  play: AnyPlay;
  progress: Progress;
}
