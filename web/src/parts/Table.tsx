// A table of the numbers of a picture.
import type { ComponentChildren } from "preact";

export interface TableContent {
  caption?: string;
  head: readonly string[];
  rows: readonly (readonly Cell[])[];
}
export type Cell = string | number;

export function Table({ caption, head, rows }: TableContent) {
  return (
    <Scroll name={caption ?? head.join(", ")}>
      <table>
        {caption && <caption>{caption}</caption>}
        <thead><tr>{head.map((word) => <th scope="col">{word}</th>)}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr>{row.map((cell, at) => (at ? <td>{cell}</td> : <th scope="row">{cell}</th>))}</tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** A box that scrolls by itself, by keyboard too, so that the page never scrolls sideways. */
export function Scroll({ name, children }: { name: string; children: ComponentChildren }) {
  return <div class="scroll" role="region" aria-label={name} tabIndex={0}>{children}</div>;
}
