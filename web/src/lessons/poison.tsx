// Lesson 5: two recorded runs under the same attack, round by round, with a cut that can be moved.
import { type Signal, useSignal } from "@preact/signals";
import { useMemo, useState } from "preact/hooks";
import { findingOf } from "../panels/compass/finding";
import { sceneOf } from "../panels/compass/scene";
import { Strip } from "../panels/compass/strip";
import { inBlockOf, viewOf } from "../panels/compass/view";
import { Range } from "../parts/Range";
import type { PageRecord } from "../records";
import { useWidth } from "../size";
import { Story } from "../story";
import { say } from "../words";
import { Choice } from "./choice";
import type { PartProps, Play } from "./lesson";

type Run = "scans" | "table";
type PoisonData = Record<Run, PageRecord[]>;
const RUNS: Run[] = ["scans", "table"];
const CHOICES = ["scans", "table", "both", "neither"] as const;
type Caught = (typeof CHOICES)[number];

export const poisonPlay: Play<Caught | null, PoisonData> = {
  start: () => null,
  Predict: ({ progress }) => (
    <Choice
      name="caught"
      options={CHOICES.map((id) => ({ id, words: say(`lessons.caught_${id}`) }))}
      chosen={progress.prediction.value}
      onChoose={(id) => progress.say(id as Caught)}
    />
  ),
  Try,
  words: (caught) => (caught ? say("lessons.said_caught", { where: say(`lessons.caught_${caught}`) }) : ""),
};

function Try({ data }: PartProps<Caught | null, PoisonData>) {
  const stories = useMemo(() => storiesOf(data), [data]);
  const last = Math.min(...RUNS.map((run) => stories[run].lastRound.value));
  const round = useSignal(1);
  return (
    <>
      <Range label={say("lessons.round")} min={1} max={last} value={round.value} words={say("lessons.of_rounds", { n: round.value, all: last })} onValue={(at) => (round.value = at)} />
      <div class="runs">
        {RUNS.map((run) => <OneRun run={run} story={stories[run]} round={round} />)}
      </div>
    </>
  );
}

function storiesOf(data: PoisonData): Record<Run, Story> {
  const made = { scans: new Story(), table: new Story() };
  for (const run of RUNS) made[run].take(data[run]);
  return made;
}

function OneRun({ run, story, round }: { run: Run; story: Story; round: Signal<number> }) {
  const [box, width] = useWidth();
  const [pointed, setPointed] = useState<number | null>(null);
  const keep = useSignal<number | null>(null);
  const record = story.run.value!;
  const told = story.messages.value.get(round.value) ?? [];
  const now = story.rounds.value.get(round.value)!;
  const view = viewOf(record, now, told, story.grams.value.get(now.block), keep.value);
  const onKeep = (kept: number) => (keep.value = kept === view.chainKeep ? null : kept);
  const finding = findingOf(view, record, round.value, true);
  const scene = sceneOf(view, {
    truth: true, groups: record.groups, judgedBy: record.judged_by, finding, sides: new Map(), pointed, onPoint: setPointed, onKeep,
  });
  const { sent, used } = soFar(story, round.value);
  return (
    <section class="run-strip" aria-label={say(`lessons.run_${run}`)}>
      <h4>{say(`lessons.run_${run}`)}</h4>
      <div ref={box} class="picture compass">{width > 0 && <Strip scene={scene} width={width} />}</div>
      {view.movable && (
        <div class="sliders">
          <Range label={say("lessons.keep")} min={1} max={view.rows.length} value={view.keep!} words={say("lessons.of_rounds", { n: view.keep!, all: view.rows.length })} onValue={onKeep} />
        </div>
      )}
      <p role="status">{say("lessons.attackers_now", { used: view.attackersUsed, all: view.attackers, honest: view.honest - view.honestUsed })}</p>
      <p class="note">{sent > 0 ? say("lessons.attackers_so_far", { used, sent }) : say("lessons.no_attack_yet")}</p>
    </section>
  );
}

/** Messages of attackers in the blocks up to a round, and how many of them the chain used. */
function soFar(story: Story, round: number): { sent: number; used: number } {
  let [sent, used] = [0, 0];
  for (const [at, { block }] of story.rounds.value) {
    if (at > round) continue;
    const attacks = inBlockOf(story.messages.value.get(at) ?? [], block).filter((one) => one.attack);
    sent += attacks.length;
    used += attacks.filter((one) => one.used).length;
  }
  return { sent, used };
}
