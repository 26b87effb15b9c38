// The line at the top: what run this is, how far it is, and what it has reached.
import { meta } from "./feed";
import {
  checked, changed, ended, helpOpen, lastRound, round, roundRecord, rounds, run, told, truth,
} from "./state";
import { epsilonWords, learns, measured, scoreWords } from "./summary";
import { say } from "./words";
import { Toggle } from "./parts/Toggle";

export function Header() {
  const record = run.value;
  return (
    <header class="top">
      {meta("fedchain-runs") !== null && <a class="back" href="../../">{say("header.all_runs")}</a>}
      <h1>{record ? record.name : say("page.name")}</h1>
      {record && <Facts />}
      <div class="switches">
        <Toggle label={say("header.truth")} on={truth.value} onSwitch={(on) => (truth.value = on)} />
        <button class="quiet" aria-haspopup="dialog" onClick={() => (helpOpen.value = true)}>
          <span aria-hidden="true">?</span>
          <span class="unseen">{say("help.title")}</span>
        </button>
      </div>
    </header>
  );
}

function Facts() {
  const record = run.value!;
  const score = measured(rounds.value, told.value, round.value, record.score);
  return (
    <ul class="facts">
      <li>{statusWords()}</li>
      <li>{say("header.round", { round: round.value, rounds: record.rounds })}</li>
      {learns(record) && (
        <>
          <li class="strong">{roundRecord.value && scoreWords(record, score)}</li>
          <li>{isMeasuring() && say("header.measuring_round", { round: round.value })}</li>
          <li class="meter-fact">
            <Meter />
            {epsilonWords(record, roundRecord.value)}
          </li>
        </>
      )}
      <li><Badge /></li>
    </ul>
  );
}

/** Whether the score of the newest round is still to come: it is told one round after its block. */
function isMeasuring(): boolean {
  const { score } = run.value!;
  const [before, last] = told.value.slice(-2).map((at) => rounds.value.get(at)!);
  if (ended.value !== null || round.value !== lastRound.value || !last) return false;
  return last.metrics[score] == null && before?.metrics[score] != null;
}

function statusWords(): string {
  return (ended.value ?? run.value!.status).replaceAll("_", " ");
}

function Meter() {
  const budget = run.value!.epsilon_budget;
  const spent = roundRecord.value?.epsilon;
  if (budget === null || spent == null) return null;
  const share = Math.min(1, spent / budget);
  return (
    <span class="meter" aria-hidden="true"><span style={{ width: `${100 * share}%` }} /></span>
  );
}

const SIGNS = { running: "…", held: "✓", partly: "✓", broken: "✕" };

function Badge() {
  const found = checked.value;
  if (changed.value) return <span class="badge partly">{say("header.changed")}</span>;
  return found && <span class={`badge ${found.state}`}>{`${SIGNS[found.state]} ${found.words}`}</span>;
}
