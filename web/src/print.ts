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
    if (on) document.querySelectorAll<SVGSVGElement>(".picture svg").forEach(letShrink);
  };
  addEventListener("beforeprint", () => turn(true));
  addEventListener("afterprint", () => turn(false));
}

/** Let a picture that was drawn for the screen become as narrow as the paper. */
function letShrink(picture: SVGSVGElement): void {
  const { width, height } = picture.getBoundingClientRect();
  if (!picture.hasAttribute("viewBox")) picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
}
