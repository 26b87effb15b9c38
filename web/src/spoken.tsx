// The page's one live region. It tells the round once the reader has stopped, not each one passed.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { spokenRound } from "./finding";
import { playing } from "./state";

const QUIET_MS = 600;
/** While the run plays, rounds follow each other faster than words do. */
const PLAYING_MS = 5000;

const told = signal("");

export function Spoken() {
  const words = spokenRound();
  useEffect(() => {
    const waiting = setTimeout(() => (told.value = words), playing.value ? PLAYING_MS : QUIET_MS);
    return () => clearTimeout(waiting);
  }, [words]);
  return <p class="unseen" role="status" aria-live="polite">{told.value}</p>;
}
