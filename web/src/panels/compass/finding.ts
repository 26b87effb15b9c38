/** The compass's answer in one or two sentences. */

import { share } from "../../format";
import type { RunRecord } from "../../records";
import { say } from "../../words";
import type { View } from "./view";

export function findingOf(view: View, run: RunRecord, round: number, truth: boolean): string {
  const { used, messages: of } = view;
  const numbers = { round, used, of, rule: run.rule.kind, n: used };
  const first = say(view.moved ? "compass.would_use" : "compass.uses", numbers);
  const whose = truth && view.attackers > 0 ? attackers(view, run.groups) : within(view);
  const agreement = truth && view.agreement !== null ? agrees(view) : "";
  return `${first}${whose}${agreement}`;
}

function attackers(view: View, groups: boolean): string {
  return say(groups ? "compass.whose_groups" : "compass.whose", {
    attackers: view.attackersUsed, all: view.attackers, n: view.attackers,
    left: view.honest - view.honestUsed, honest: view.honest,
  });
}

/** How far the used messages lie from the sum of all directions. */
function within(view: View): string {
  if (view.keep === null) return ".";
  const angles = view.rows.filter((row) => row.used).map((row) => row.angle);
  return angles.length ? say("compass.within", { angle: Math.round(Math.max(...angles)) }) : ".";
}

function agrees(view: View): string {
  return ` ${say("compass.agrees", { cosine: share(view.agreement) })}`;
}
