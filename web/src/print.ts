// What is printed reads without a click: tables are open, and the paper is light by the styles.
import { options } from "preact";
import { printing } from "./state";

/** Open the tables before the page is printed, and close them after it. */
export function openForPrint(): void {
  const later = options.debounceRendering ?? ((draw) => queueMicrotask(draw));
  const turn = (on: boolean) => {
    // The print begins when this event is over: what is drawn later would not be on the paper.
    options.debounceRendering = (draw) => draw();
    printing.value = on;
    options.debounceRendering = later;
  };
  addEventListener("beforeprint", () => turn(true));
  addEventListener("afterprint", () => turn(false));
}
