// The reader's answers as text.
import { say } from "../words";
import type { Lesson } from "./lesson";

/** All locked predictions and chosen exit answers, one lesson a paragraph. */
export function answersOf(lessons: Lesson[]): string {
  const started = lessons.filter(({ progress }) => progress.locked.value);
  if (!started.length) return say("lessons.nothing_said");
  return started.map(answerOf).join("\n\n");
}

function answerOf({ record, play, progress }: Lesson): string {
  const lines = [
    `${record.number} ${record.texts.title}`,
    record.texts.question,
    play.words(progress.prediction.value, record.data),
  ];
  record.texts.exit.forEach(({ question, options }, at) => {
    const chosen = progress.chosen.value[at];
    if (chosen != null) lines.push(`${question} ${options[chosen]!.text}`);
  });
  return lines.join("\n");
}
