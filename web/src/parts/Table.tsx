// A table of the numbers of a picture.
import type { ComponentChildren } from "preact";
import { say } from "../words";

export type Cell = string | number;

export interface TableContent {
  caption?: string;
  head: readonly string[];
  rows: readonly (readonly Cell[])[];
}

/** Rows on the page; the CSV file has all. */
const MOST_ROWS = 200;

export function Table({ caption, head, rows }: TableContent) {
  const more = rows.length - MOST_ROWS;
  return (
    <>
      <Scroll name={caption ?? head.join(", ")}>
        <table>
          {caption && <caption>{caption}</caption>}
          <thead><tr>{head.map((word) => <th scope="col">{word}</th>)}</tr></thead>
          <tbody>
            {rows.slice(0, MOST_ROWS).map((row) => (
              <tr>{row.map((cell, at) => (at ? <td>{cell}</td> : <th scope="row">{cell}</th>))}</tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {more > 0 && <p class="note">{say("panel.more_rows", { n: more })}</p>}
    </>
  );
}

/** A box that scrolls by itself, by keyboard too, so that the page never scrolls sideways. */
export function Scroll({ name, children }: { name: string; children: ComponentChildren }) {
  return <div class="scroll" role="group" aria-label={name} tabIndex={0}>{children}</div>;
}
