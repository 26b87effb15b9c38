// The tables of rules, pre-aggregations and updates: their parameters and what these may be.
import { need } from "./bytes";
import { isObject, type Json } from "./canonical";
import { above, atLeast, fraction, given, type Kinds, listOf, oneOf, orNull, type Part, readPart, type Table, whole } from "./parts";

const FEW = given(orNull(whole(0)), null);
const FIRST: Kinds = {
  nnm: { byzantine: FEW },
  bucketing: { size: given(whole(1), 2) },
  norm_clipping: { radius: given(orNull(above(0)), null) },
};
const USUAL: Table = {
  scale: given(oneOf("restore", "unit", "median_clip"), "restore"),
  first: given(listOf(FIRST, 0, 8), []),
};
export const CAPPED = '{"cap":"median","kind":"records"}';
const WEIGHTS = given(
  oneOf(null, "equal", "records", { kind: "records" }, { cap: null, kind: "records" }, { cap: "median", kind: "records" }),
  null,
);
const MEAN: Table = { ...USUAL, weights: WEIGHTS };
const BYZANTINE: Table = { byzantine: FEW, ...USUAL };
const RULES: Kinds = {
  mean: MEAN,
  l_nearest: { keep: whole(1), ...MEAN },
  krum: { keep: given(whole(1), 1), ...BYZANTINE },
  trimmed_mean: { trim: FEW, ...USUAL },
  median: USUAL,
  mean_around_median: BYZANTINE,
  bulyan: BYZANTINE,
  geometric_median: { steps: given(whole(1, 1000), 32), smoothing: given(above(0, 1), 0.001), ...USUAL },
  centred_clipping: { radius: given(orNull(above(0)), null), steps: given(whole(1, 100), 1), ...USUAL },
  dnc: { iterations: given(whole(1, 100), 1), ...BYZANTINE },
  caf: BYZANTINE,
  mda: BYZANTINE,
  smea: BYZANTINE,
  fltrust: USUAL,
};
const ALL_RULES: Kinds = { ...RULES, average_of: { rules: listOf(RULES, 1, 8) } };

const RATE: Table = { learning_rate: above(0), decay: given(atLeast(0), 0), weight_decay: given(atLeast(0), 0) };
const INNER = { words: "an update: a block with a kind", allows: isObject };
const UPDATES: Kinds = {
  gradient_descent: RATE,
  momentum: { ...RATE, momentum: given(fraction(), 0.9) },
  adam: { ...RATE, beta1: given(fraction(), 0.9), beta2: given(fraction(), 0.999), stabiliser: given(above(0), 1e-8) },
  distance_over_gradients: { first: given(above(0), 0.05) },
  filtered: { of: INNER, drift: given(atLeast(0), 0.1) },
  averaged: { of: INNER, decay: given(above(0, 1), 1), from_round: given(whole(1), 1) },
};

/** A rule with all its parameters. */
export function readRule(part: Json, open: boolean): Part {
  if (isObject(part) && part.kind === "average_of" && Array.isArray(part.rules)) {
    const inside = part.rules.some((rule) => isObject(rule) && rule.kind === "average_of");
    need(!inside, "aggregation.rules: average_of stands around itself");
  }
  const rule = readPart(part, ALL_RULES, "aggregation");
  for (const each of rule.kind === "average_of" ? (rule.rules as Part[]) : [rule]) {
    const equal = [undefined, null, "equal"].includes(each.weights as undefined);
    need(!open || equal, "aggregation.weights: must be equal where identities are open");
  }
  return rule;
}

/** An update and those around it: the innermost first, each with all its parameters. */
export function readUpdate(part: Json): Part[] {
  const found: Part[] = [];
  for (let inner: Json | undefined = part, where = "update"; inner !== undefined; where += ".of") {
    const update: Part = readPart(inner, UPDATES, where);
    need(found.every((outer) => outer.kind !== update.kind), () => `update: ${update.kind} stands around itself`);
    found.unshift(update);
    inner = update.of as Json | undefined;
  }
  return found;
}
