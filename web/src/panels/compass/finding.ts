/** The compass's answer in one or two sentences. */

import { share } from "../../format";
import { say } from "../../words";
import type { View } from "./view";

export function findingOf(view: View, rule: string, round: number, truth: boolean): string {
  const used = view.rows.filter((row) => row.used).length;
  const numbers = { round, used, of: view.rows.length, rule, n: used };
  const first = say(view.moved ? "compass.would_use" : "compass.uses", numbers);
  const whose = truth && view.attackers > 0 ? attackers(view) : within(view);
  const agreement = truth && view.agreement !== null ? agrees(view) : "";
  return `${first}${whose}${agreement}`;
}

function attackers(view: View): string {
  return say("compass.whose", {
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
