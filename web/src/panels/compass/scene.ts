/** What the pictures of the compass share: the view, names, and what the reader points at. */

import { say } from "../../words";
import type { MarkProps } from "./mark";
import type { Row, View } from "./view";

export interface Scene {
  readonly view: View;
  readonly finding: string;
  readonly truth: boolean;
  /** Whether participants are groups of holders. */
  readonly groups: boolean;
  /** What the rule judges messages by; null if it names nothing. */
  readonly judgedBy: string | null;
  /** Loading of a holder: to the right from 0 on, to the left below. */
  readonly sides: (holder: number) => number;
  /** All places, those that must be seen first. */
  readonly weighty: readonly number[];
  /** Places whose dots get a label. */
  readonly named: readonly number[];
  readonly pointed: number | null;
  readonly name: (row: Row) => string;
  readonly attacks: (row: Row) => boolean;
  readonly mark: (row: Row, place: number) => Omit<MarkProps, "x" | "y">;
  readonly onKeep: (keep: number) => void;
}

export interface Choices {
  readonly truth: boolean;
  readonly groups: boolean;
  readonly judgedBy: string | null;
  readonly finding: string;
  readonly sides: ReadonlyMap<number, number>;
  readonly pointed: number | null;
  readonly onPoint: (place: number | null) => void;
  readonly onKeep: (keep: number) => void;
}

const MOST_NAMED = 16;

export function sceneOf(view: View, choices: Choices): Scene {
  const { truth, groups, judgedBy, finding, sides, pointed, onPoint, onKeep } = choices;
  const name = (row: Row) => nameOf(row, truth, groups);
  const attacks = (row: Row) => truth && row.attack !== "";
  const weight = (row: Row) => (attacks(row) ? 0 : row.used ? 2 : 1);
  const places = view.rows.map((_, place) => place);
  const weighty = places.sort((a, b) => weight(view.rows[a]!) - weight(view.rows[b]!) || a - b);
  const telling = weighty.filter((place) => weight(view.rows[place]!) < 2).slice(0, MOST_NAMED);
  const named = pointed === null || telling.includes(pointed) ? telling : [pointed, ...telling];
  const mark = (row: Row, place: number) => ({
    used: row.used,
    attacks: attacks(row),
    pointed: pointed === place,
    words: say("compass.dot", {
      name: name(row), angle: Math.round(row.angle), cosine: digits(row.cosine), fate: fateOf(row, attacks(row)),
    }),
    onPoint: (on: boolean) => onPoint(on ? place : null),
  });
  const side = (holder: number) => sides.get(holder) ?? 0;
  return { view, finding, truth, groups, judgedBy, sides: side, weighty, named, pointed, name, attacks, mark, onKeep };
}

/** Who sent a message, where the page may show it; else the begin of the message's id. */
export function nameOf(row: Row, truth: boolean, groups: boolean): string {
  if (row.members === 0) return say("compass.root");
  return truth ? `${groups ? "g" : "h"}${row.holder}` : row.id.slice(0, 6);
}

/** What became of a message, in words. */
export function fateOf(row: Row, attacks: boolean): string {
  const fate = say(row.used ? "compass.used" : "compass.left");
  return attacks ? `${fate}, ${row.attack.replaceAll("_", " ")}` : fate;
}

/** A cosine with three digits, those at the end too, so that columns line up. */
export function digits(cosine: number): string {
  const text = Math.abs(cosine).toFixed(3).replace(/^0/, "");
  return cosine < 0 && text !== ".000" ? `−${text}` : text;
}
