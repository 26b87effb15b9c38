// Starts the page of the lessons: reads the lessons in this file, and draws the chosen one. In a
// worker, which has the same text, starts the verifier.
import { render } from "preact";
import { answerPage } from "../chain/worker";
import { unpack } from "../feed";
import { inWorker } from "../own";
import { openForPrint } from "../print";
import { epsilonPlay } from "./epsilon";
import { forksPlay } from "./forks";
import { hashPlay } from "./hash";
import { type AnyPlay, type Lesson, type LessonRecord, Progress } from "./lesson";
import { LessonsPage } from "./page";
import { pointsPlay } from "./points";
import { poisonPlay } from "./poison";
import { roundPlay } from "./round";
import { tamperingPlay } from "./tampering";

const PLAYS: Record<string, AnyPlay> = {
  "01_hash": hashPlay,
  "02_forks": forksPlay,
  "03_round": roundPlay,
  "04_epsilon": epsilonPlay,
  "05_poison": poisonPlay,
  "06_tampering": tamperingPlay,
  "07_points": pointsPlay,
};

async function start(): Promise<void> {
  const place = document.getElementById("page")!;
  const scripts = document.querySelectorAll('script[type="application/x-fedchain-lesson"]');
  const lessons: Lesson[] = [];
  for (const script of scripts) {
    const record = JSON.parse(await unpack(script.textContent ?? "")) as LessonRecord;
    const play = PLAYS[record.name]!;
    const progress = new Progress(play.start(record.data), record.texts.exit.length);
    lessons.push({ record, play, progress });
  }
  openForPrint();
  place.replaceChildren();
  render(<LessonsPage lessons={lessons} />, place);
}

if (inWorker) answerPage();
else void start();
