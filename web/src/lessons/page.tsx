// The page of the lessons: which lesson, and the lesson.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { say } from "../words";
import { Frame } from "./frame";
import type { Lesson } from "./lesson";
import { answersOf } from "./said";

/** Place of the lesson that is shown, from the address: `#lesson=3`. */
const shown = signal(fromAddress());

function fromAddress(): number {
  const found = /lesson=(\d+)/.exec(location.hash);
  return found ? Number(found[1]) : 1;
}

export function LessonsPage({ lessons }: { lessons: Lesson[] }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const number = Math.min(Math.max(1, shown.value), lessons.length);
  const before = useRef(number);
  useEffect(() => {
    const follow = () => (shown.value = fromAddress());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    if (before.current === number) return; // the page has just been opened
    before.current = number;
    scrollTo(0, 0);
    heading.current?.focus();
  }, [number]);
  const lesson = lessons[number - 1]!;
  return (
    <>
      <header class="top lessons-top">
        <h1>{say("lessons.title")}</h1>
        <Places lessons={lessons} number={number} />
      </header>
      <main class="lessons">
        <article class="lesson" key={lesson.record.name}>
          <p class="note">{say("lessons.number", { number, all: lessons.length })}</p>
          <h2 ref={heading} tabIndex={-1}>{lesson.record.texts.title}</h2>
          <Frame lesson={lesson} />
        </article>
        <footer class="lessons-foot">
          <p class="note">{say("lessons.about")}</p>
          <Copy lessons={lessons} />
          <Next lessons={lessons} number={number} />
        </footer>
      </main>
    </>
  );
}

function Places({ lessons, number }: { lessons: Lesson[]; number: number }) {
  return (
    <nav aria-label={say("lessons.places")}>
      <ol class="places">
        {lessons.map(({ record, progress }) => (
          <li>
            <a href={`#lesson=${record.number}`} aria-current={record.number === number ? "page" : undefined}>
              {record.number}
              <span class="unseen"> {record.texts.title}</span>
              {progress.shown.value && <span class="done" aria-label={say("lessons.done")}> ✓</span>}
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

function Next({ lessons, number }: { lessons: Lesson[]; number: number }) {
  const next = lessons[number];
  if (!next) return null;
  return <a class="next" href={`#lesson=${number + 1}`}>{say("lessons.next", { title: next.record.texts.title })}</a>;
}

/** Answers stay in the browser; the reader may take them along as text. */
function Copy({ lessons }: { lessons: Lesson[] }) {
  const text = useRef<HTMLTextAreaElement>(null);
  const copied = answersOf(lessons);
  return (
    <details>
      <summary>{say("lessons.copy")}</summary>
      <p class="note">{say("lessons.copy_how")}</p>
      <textarea ref={text} readOnly rows={8} aria-label={say("lessons.copy")} value={copied} onFocus={() => text.current?.select()} />
    </details>
  );
}
