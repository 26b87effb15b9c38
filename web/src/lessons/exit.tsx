// Exit questions: a wrong choice names the misconception behind it.
import { say } from "../words";
import type { ExitQuestion, Lesson } from "./lesson";

export function Exit({ lesson }: { lesson: Lesson }) {
  return (
    <>
      <h4>{say("lessons.exit")}</h4>
      {lesson.record.texts.exit.map((question, at) => <Question lesson={lesson} question={question} at={at} />)}
    </>
  );
}

function Question({ lesson, question, at }: { lesson: Lesson; question: ExitQuestion; at: number }) {
  const { chosen } = lesson.progress;
  const mine = chosen.value[at];
  const choose = (option: number) => (chosen.value = chosen.value.map((old, place) => (place === at ? option : old)));
  const picked = mine == null ? null : question.options[mine]!;
  const order = orderOf(question.options.length, question.question.length);
  return (
    <fieldset class="exit">
      <legend>{question.question}</legend>
      {order.map((option) => (
        <label class="option">
          <input type="radio" name={`exit-${lesson.record.name}-${at}`} checked={mine === option} onChange={() => choose(option)} />
          <span>{question.options[option]!.text}</span>
        </label>
      ))}
      <p class={picked?.right ? "verdict right" : "verdict wrong"} role="status">
        {picked && (picked.right ? say("lessons.right") : say("lessons.misconception", { what: picked.misconception! }))}
      </p>
    </fieldset>
  );
}

/** The order in which options stand: the right one, which comes first in the file, moves about. */
function orderOf(count: number, turn: number): number[] {
  return Array.from({ length: count }, (_, place) => (place + turn) % count);
}
