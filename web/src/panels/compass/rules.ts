/** What the compass can say of a rule. */

import type { Scale, Weights } from "./selection";

export interface Part {
  readonly kind: string;
  readonly [parameter: string]: unknown;
}

export interface Reading {
  /** `nearest`: a cone and a threshold that can be moved; `all`: every message; `score`: dots by
   * their share, the rule's own score on the strip; `columns`: dots and table only, since the rule
   * works on single columns. */
  readonly as: "nearest" | "all" | "score" | "columns";
  /** Whether the step is the sum of the directions by their shares and factors. */
  readonly linear: boolean;
  readonly keep: number | null;
  readonly scale: Scale;
  readonly weights: Weights;
}

const COLUMNS = new Set(["median", "trimmed_mean", "mean_around_median", "bulyan"]);
const LINEAR = new Set(["l_nearest", "mean", "krum", "dnc", "caf", "mda", "smea", "geometric_median"]);

/** Read an aggregation rule as it stands in the agreed text. */
export function reading(rule: Part): Reading {
  const scale = rule.scale === "unit" || rule.scale === "median_clip" ? rule.scale : "restore";
  const weights = weightsOf(rule.weights);
  const keep = rule.kind === "l_nearest" && typeof rule.keep === "number" ? rule.keep : null;
  const common = { linear: isLinear(rule), scale, weights, keep: null } as const;
  if (COLUMNS.has(rule.kind)) return { ...common, as: "columns" };
  if (parts(rule.first).length === 0) {
    if (keep !== null) return { ...common, as: "nearest", keep };
    if (rule.kind === "mean") return { ...common, as: "all" };
  }
  return { ...common, as: "score" };
}

function weightsOf(weights: unknown): Weights {
  if (weights === "records") return "records";
  const cap = typeof weights === "object" && weights !== null && "cap" in weights && weights.cap;
  if (cap === "median") return "capped";
  return typeof weights === "object" && weights !== null ? "records" : "equal";
}

/** A rule's step follows from shares and factors if it is a mean of whole messages. Shortened vectors
 * (`norm_clipping`) have factors that no record tells. */
function isLinear(rule: Part): boolean {
  const clipped = parts(rule.first).some((part) => part.kind === "norm_clipping");
  return LINEAR.has(rule.kind) && !clipped;
}

function parts(list: unknown): Part[] {
  return Array.isArray(list) ? list : [];
}

/** Where the code of a rule is. */
export function codeOf(kind: string): string | null {
  const file = FILES[kind];
  return file ? `fedchain/aggregation/${file}.py:${kind}` : null;
}

const FILES: Readonly<Record<string, string>> = {
  l_nearest: "nearest",
  mean: "nearest",
  krum: "krum",
  trimmed_mean: "coordinates",
  median: "coordinates",
  mean_around_median: "around_median",
  bulyan: "around_median",
  geometric_median: "geometric",
  centred_clipping: "geometric",
  dnc: "spectral",
  caf: "spectral",
  mda: "subsets",
  smea: "subsets",
  fltrust: "trust",
  average_of: "average",
};
