// Numbers that were set, and not measured: as short as they were written.
import { plain } from "../format";

/** `.4`, `8`, `.25`: at most three digits behind the point, none that is not needed. */
export function short(value: number): string {
  return plain(Math.round(value * 1000) / 1000);
}
