// What the run found, and what the reader has to know of the page's own state.
import { meta } from "./feed";
import { connection, ended, lost, round, roundRecord, rounds, run, told, truth } from "./state";
import { measured, roundWords } from "./summary";
import { say } from "./words";

export function Finding() {
  const record = run.value;
  if (!record) return <p class="finding">{say("page.preparing")}</p>;
  return (
    <div class="finding">
      <p class="sentence">{sentence()}</p>
      {record.description && <p class="question">{record.description}</p>}
      <Notices />
    </div>
  );
}

/**
 * The finding of the run. While it goes on, and while the reader hides what only the simulator
 * knows, what the last round says: the finding names the attackers.
 */
function sentence(): string {
  const record = run.value!;
  if (!told.value.length || (truth.value && ended.value !== null)) return record.finding;
  const last = told.value.at(-1)!;
  const score = measured(rounds.value, told.value, last, record.score);
  return roundWords(record, rounds.value.get(last)!, score);
}

function Notices() {
  const resume = run.value!.resume;
  const leftOut = meta("fedchain-left-out");
  return (
    <>
      {connection.value === "lost" && <p class="notice" role="status">{say("page.lost_connection")}</p>}
      {ended.value !== null && resume && (
        <p class="notice">{say("page.interrupted")} <code>{resume}</code></p>
      )}
      {leftOut && <p class="question">{say("page.left_out", { what: leftOut })}</p>}
      {lost.value > 0 && <p class="notice">{say("page.lost_records", { n: lost.value })}</p>}
    </>
  );
}

/** The words of the round for a screen reader: spoken when the reader has stopped moving. */
export function spokenRound(): string {
  const record = run.value;
  if (!record) return "";
  const score = measured(rounds.value, told.value, round.value, record.score);
  return roundWords(record, roundRecord.value, score);
}
