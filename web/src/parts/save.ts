// Downloads of a panel: its table as CSV, its picture as SVG. Both are made here, without a server.
import type { TableContent } from "./Table";

/** A cell as CSV has it. A text that a spreadsheet would compute is made plain text. */
function csvCell(cell: string | number): string {
  const text = typeof cell === "string" && /^[-=+@\t\r]/.test(cell) ? `'${cell}` : String(cell);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvText({ head, rows }: TableContent): string {
  return [head, ...rows].map((row) => row.map(csvCell).join(",")).join("\n") + "\n";
}

export function saveCsv(name: string, table: TableContent): void {
  save(`${name}.csv`, "text/csv", csvText(table));
}

/** Save the first SVG of a picture with the styles that it has on the page. */
export function saveSvg(name: string, picture: HTMLElement | null): void {
  const drawn = picture?.querySelector("svg");
  if (!drawn) return;
  const copy = drawn.cloneNode(true) as SVGSVGElement;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const from = [drawn, ...drawn.querySelectorAll<SVGElement>("*")];
  const to = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  from.forEach((element, at) => copyStyle(getComputedStyle(element), to[at]!));
  save(`${name}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(copy));
}

const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font", "text-anchor"];

function copyStyle(style: CSSStyleDeclaration, target: SVGElement): void {
  for (const name of STYLES) target.style.setProperty(name, style.getPropertyValue(name));
}

function save(name: string, type: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
