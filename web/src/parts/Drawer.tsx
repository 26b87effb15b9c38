// What is hidden until it is asked for, or printed.
import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { presenter, printing } from "../state";

/** The content is made only when it is shown: a long run has long tables. */
export function Drawer({ summary, children }: { summary: string; children: () => ComponentChildren }) {
  const open = useSignal(false);
  useSignalEffect(() => {
    if (presenter.value) open.value = false;
  });
  const shown = open.value || printing.value;
  return (
    <details
      open={shown}
      onToggle={(event) => {
        if (!printing.value) open.value = event.currentTarget.open;
      }}
    >
      <summary>{summary}</summary>
      {shown && children()}
    </details>
  );
}
