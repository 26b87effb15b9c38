// The steps of a lesson: predict and lock, try, see the answer, leave with two questions.
import { useEffect, useRef } from "preact/hooks";
import { say } from "../words";
import { Glossed } from "./glossed";
import type { Lesson, Progress } from "./lesson";
import { Exit } from "./exit";

export function Frame({ lesson }: { lesson: Lesson }) {
  const { record, play, progress } = lesson;
  const { texts, data } = record;
  const { Predict, Try } = play;
  const locked = progress.locked.value;
  return (
    <>
      <p class="question"><Glossed text={texts.question} /></p>
      <section class="step" aria-labelledby="predict">
        <h3 id="predict">{say("lessons.predict")}</h3>
        <p>{texts.predict}</p>
        <fieldset disabled={locked}>
          <legend class="unseen">{say("lessons.predict")}</legend>
          <Predict data={data} progress={progress} />
        </fieldset>
        <Lock progress={progress} words={play.words(progress.prediction.value, data)} />
      </section>
      {locked && (
        <section class="step" aria-labelledby="try">
          <Arrived id="try" words={say("lessons.try")} />
          <p><Glossed text={texts.do} /></p>
          <Try data={data} progress={progress} />
          {!progress.shown.value && (
            <button class="main" onClick={() => (progress.shown.value = true)}>{say("lessons.show")}</button>
          )}
        </section>
      )}
      {progress.shown.value && <Answer lesson={lesson} />}
    </>
  );
}

function Lock({ progress, words }: { progress: Progress; words: string }) {
  if (progress.locked.value) return <p class="locked">{say("lessons.locked", { words })}</p>;
  return (
    <button class="main" disabled={!progress.said.value} onClick={() => (progress.locked.value = true)}>
      {say("lessons.lock")}
    </button>
  );
}

/** A heading that takes the focus when it appears, so that keyboard and screen reader go on there. */
function Arrived({ id, words }: { id: string; words: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return <h3 id={id} ref={heading} tabIndex={-1}>{words}</h3>;
}

function Answer({ lesson }: { lesson: Lesson }) {
  const { record, play, progress } = lesson;
  const { texts, code, scenarios } = record;
  return (
    <section class="step answer" aria-labelledby="answer">
      <Arrived id="answer" words={say("lessons.answer")} />
      <p class="said">
        {play.words(progress.prediction.value, record.data)} {play.off?.(progress.prediction.value, record.data)}
      </p>
      <p class="sentence"><Glossed text={texts.answer} /></p>
      <h4>{say("lessons.not_shown")}</h4>
      <p>{texts.not_shown}</p>
      <p class="note">
        {say("lessons.code", { what: texts.code_says })} <code>{code}</code>
        {scenarios.map((name) => <> · <code>scenarios/lessons/{name}.yaml</code></>)}
      </p>
      <Exit lesson={lesson} />
    </section>
  );
}
