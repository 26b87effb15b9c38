// Learning: a metric by round, beside its baselines.
import { useComputed, useSignal } from "@preact/signals";
import { otherRuns } from "../feed";
import { Panel } from "../parts/Panel";
import { overlaid, overlay, rounds, run, told } from "../state";
import { baselinesOf, measured, metricValue, metricWords } from "../summary";
import { say } from "../words";
import { curveOf } from "./learning/curve";
import { Chart } from "./learning/chart";

export function Learning() {
  const chosen = useSignal<string | null>(null);
  const record = run.value!;
  const metric = chosen.value ?? record.score;
  const points = useComputed(() => curveOf(rounds.value, told.value, chosen.value ?? run.value!.score));
  const other = overlaid.value;
  const over = other ? curveOf(other.rounds.value, other.told.value, metric) : [];
  const table = useComputed(() => ({
    head: [say("learning.round"), metricWords(chosen.value ?? run.value!.score), "ε"],
    rows: points.value.map(({ round, value }) => [
      round, metricValue(value), rounds.value.get(round)!.epsilon?.toFixed(2) ?? "–",
    ]),
  }));
  return (
    <Panel
      id="learning"
      title={say("learning.title")}
      finding={finding(metric)}
      empty={record.scores.length || points.value.length ? undefined : say("learning.empty")}
      controls={<Choices metric={metric} onMetric={(name) => (chosen.value = name)} />}
      table={table.value}
      formula={<Gain metric={metric} />}
      code="fedchain/results/finding.py:best_of"
    >
      <Chart metric={metric} points={points.value} over={over} />
    </Panel>
  );
}

function finding(metric: string): string {
  const last = measured(rounds.value, told.value, Infinity, metric);
  if (!last) return say("learning.measuring");
  const [best] = baselinesOf(run.value!, metric);
  const words = {
    metric: metricWords(metric), value: metricValue(last.metrics[metric]), round: last.round,
  };
  if (!best) return say("learning.finding", words);
  return say("learning.finding_beside", {
    ...words, baseline: best.name, other: metricValue(best.value),
  });
}

function Choices({ metric, onMetric }: { metric: string; onMetric: (name: string) => void }) {
  const others = otherRuns();
  const scores = run.value!.scores;
  return (
    <>
      {scores.length > 1 && (
        <label class="choice">
          <span>{say("learning.metric")}</span>
          <select value={metric} onChange={(event) => onMetric(event.currentTarget.value)}>
            {scores.map((name) => <option value={name}>{metricWords(name)}</option>)}
          </select>
        </label>
      )}
      {others.length > 0 && (
        <label class="choice">
          <span>{say("learning.overlay")}</span>
          <select
            value={overlay.value ?? ""}
            onChange={(event) => (overlay.value = event.currentTarget.value || null)}
          >
            <option value="">{say("learning.overlay_none")}</option>
            {others.map((name) => <option value={name}>{name}</option>)}
          </select>
        </label>
      )}
    </>
  );
}

/** What learning gained over the best baseline, with the numbers of the last measured round. */
function Gain({ metric }: { metric: string }) {
  const last = measured(rounds.value, told.value, Infinity, metric)?.metrics[metric];
  const [best] = baselinesOf(run.value!, metric);
  if (last == null || !best) return <p>{say("learning.no_gain")}</p>;
  return (
    <math display="block">
      <mrow>
        <mtext>{say("learning.gain")}</mtext><mo>=</mo>
        <mn>{metricValue(last)}</mn><mo>−</mo><mn>{metricValue(best.value)}</mn>
        <mo>=</mo><mn>{metricValue(last - best.value)}</mn>
      </mrow>
    </math>
  );
}
