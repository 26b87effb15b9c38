// A panel: question, finding, picture, controls, the same numbers as a table, the formula.
import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";
import { panel, type PanelName } from "../state";
import { say } from "../words";
import { Drawer } from "./Drawer";
import { saveCsv, saveSvg } from "./save";
import { Scroll, Table, type TableContent } from "./Table";

interface PanelProps {
  id: PanelName;
  /** The question that the panel answers. */
  title: string;
  /** The answer in one sentence. */
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

export function Panel({ id, title, finding, empty, children, controls, ...more }: PanelProps) {
  const picture = useRef<HTMLDivElement>(null);
  const big = panel.value === id;
  return (
    <section
      class={big ? "panel big" : "panel"}
      id={`panel-${id}`}
      aria-labelledby={`title-${id}`}
      tabIndex={-1}
    >
      <header class="panel-head">
        <h2 id={`title-${id}`}>{title}</h2>
        <button class="quiet" aria-pressed={big} onClick={() => (panel.value = big ? null : id)}>
          {say(big ? "panel.smaller" : "panel.larger")}
          <span class="unseen"> {title}</span>
        </button>
      </header>
      {finding && <p class="panel-finding">{finding}</p>}
      {empty !== undefined ? <p class="empty">{empty}</p> : (
        <>
          <div class="picture" ref={picture}>{children}</div>
          {controls && <div class="controls">{controls}</div>}
          <More id={id} {...more} onSvg={() => saveSvg(id, picture.current)} />
        </>
      )}
    </section>
  );
}

type MoreProps = Pick<PanelProps, "id" | "table" | "formula" | "code"> & { onSvg: () => void };

function More({ id, table, formula, code, onSvg }: MoreProps) {
  return (
    <div class="more">
      {table && (
        <Drawer summary={say("panel.table")}>
          {() => (
            <>
              <Table {...table} />
              <button class="quiet" onClick={() => saveCsv(id, table)}>{say("panel.csv")}</button>
            </>
          )}
        </Drawer>
      )}
      {formula && (
        <Drawer summary={say("panel.formula")}>
          {() => (
            <>
              <Scroll name={say("panel.formula")}><div class="formula">{formula}</div></Scroll>
              {code && <p class="note"><code>{code}</code></p>}
            </>
          )}
        </Drawer>
      )}
      <button class="quiet save-picture" onClick={onSvg}>{say("panel.svg")}</button>
    </div>
  );
}
