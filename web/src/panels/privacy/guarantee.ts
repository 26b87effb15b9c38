// The guarantee in five lines, from privacy.json.
import { epsilon, scientific, three } from "../../format";
import type { Privacy } from "../../records";
import { say } from "../../words";

export interface Line {
  name: string;
  words: string;
}

/** What is protected, how much, against whom, when it fails, and what tuning cost. */
export function guaranteeLines(privacy: Privacy): Line[] {
  const total = privacy.epsilon_total;
  if (total == null) return [];
  const { record } = privacy;
  const releases = privacy.releases[privacy.worst_holder] ?? 0;
  const per = privacy.epsilon_per_release;
  const groups = privacy.groups !== null;
  return [
    {
      name: say("privacy.what"),
      words: say(privacy.unit === "holder" ? "privacy.what_holder" : "privacy.what_record", { record }),
    },
    {
      name: say("privacy.how_much"),
      words: say(per === null ? "privacy.how_much_total" : "privacy.how_much_words", {
        n: releases, epsilon: epsilon(total), delta: delta(privacy.delta), per: epsilon(per),
      }),
    },
    { name: say("privacy.against"), words: say(groups ? "privacy.against_groups" : "privacy.against_words") },
    { name: say("privacy.fails"), words: say("privacy.fails_words", { clip: three(privacy.clip) }) },
    { name: say("privacy.tuning"), words: privacy.tuning || say("privacy.tuning_unsaid") },
  ];
}

function delta(value: number | null): string {
  return value === null ? "0" : scientific(value);
}
