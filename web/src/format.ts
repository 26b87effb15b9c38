// Numbers as the page writes them: three digits, no zero before the point of a share.

/** A share, a cosine or another number up to 1 in size: `.672`, `−.850`, `1`. */
export function share(value: number | null | undefined): string {
  if (value == null) return "–";
  const text = Math.abs(value).toFixed(3);
  return sign(value, text === "0.000" ? "0" : text === "1.000" ? "1" : text.replace(/^0/, ""));
}

/** A number with three digits that count: `12.3`, `.0384`, `1,234`, `1e-5`. */
export function three(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e7) return scientific(value);
  if (size >= 100) return sign(value, whole(size));
  return sign(value, bare(size.toPrecision(3)));
}

/** An epsilon: two decimals. */
export function epsilon(value: number | null | undefined): string {
  return value == null ? "–" : value.toFixed(2);
}

/** A budget as it was written: `8`, `.5`. */
export function plain(value: number | null | undefined): string {
  return value == null ? "–" : sign(value, String(Math.abs(value)).replace(/^0\./, "."));
}

// Made once: a new one for each number takes a hundred times as long.
const THOUSANDS = new Intl.NumberFormat("en");

/** A whole number with its thousands apart. */
export function whole(value: number): string {
  return THOUSANDS.format(Math.round(value));
}

/** A power of ten as `1e-5`, never `1e-05`. */
export function scientific(value: number): string {
  return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e").replace("-", "−").replace("e−", "e-");
}

function bare(text: string): string {
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return short.replace(/^0\./, ".") || "0";
}

function sign(value: number, text: string): string {
  return value < 0 && text !== "0" ? `−${text}` : text;
}
