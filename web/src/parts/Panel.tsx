// A panel: question, finding, picture, controls, the same numbers as a table, the formula.
import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";
import { panel, presenter, type PanelName } from "../state";
import { say } from "../words";
import { saveCsv, saveSvg } from "./save";
import { Table, type TableContent } from "./Table";

export interface PanelProps {
  id: PanelName;
  /** The question that the panel answers. */
  title: string;
  /** The answer in one sentence; also the name of the picture for those who do not see it. */
  finding: string;
  /** What the run lacks for this panel, and the command that makes it. */
  empty?: string | undefined;
  children?: ComponentChildren;
  controls?: ComponentChildren;
  table?: TableContent | undefined;
  formula?: JSX.Element | undefined;
  /** Where the formula is computed: `path.py:function`. */
  code?: string | undefined;
}

export function Panel(props: PanelProps) {
  const { id, title, finding, empty, children, controls, table, formula, code } = props;
  const picture = useRef<HTMLDivElement>(null);
  const big = panel.value === id;
  return (
    <section class={big ? "panel big" : "panel"} id={`panel-${id}`} aria-labelledby={`title-${id}`} tabIndex={-1}>
      <header class="panel-head">
        <h2 id={`title-${id}`}>{title}</h2>
        <button class="quiet" aria-pressed={big} onClick={() => (panel.value = big ? null : id)}>
          {say(big ? "panel.smaller" : "panel.larger")}
          <span class="unseen"> {title}</span>
        </button>
      </header>
      {finding && <p class="finding-of-panel">{finding}</p>}
      {empty ? (
        <p class="empty">{empty}</p>
      ) : (
        <>
          <div class="picture" ref={picture}>{children}</div>
          {controls && <div class="controls">{controls}</div>}
          <div class="more">
            {table && (
              <details open={false} key={presenter.value ? "presented" : "read"} data-opens-in-print>
                <summary>{say("panel.table")}</summary>
                <Table {...table} />
                <button class="quiet" onClick={() => saveCsv(id, table)}>{say("panel.csv")}</button>
              </details>
            )}
            {formula && (
              <details data-opens-in-print>
                <summary>{say("panel.formula")}</summary>
                <div class="formula">{formula}</div>
                {code && <p class="note"><code>{code}</code></p>}
              </details>
            )}
            <button class="quiet" onClick={() => saveSvg(id, picture.current)}>{say("panel.svg")}</button>
          </div>
        </>
      )}
    </section>
  );
}
