// Text whose words of the glossary say what they mean when pointed at or focused.
import { useId } from "preact/hooks";
import glossary from "../../../fedchain/page/lessons/glossary.json";
import { say } from "../words";

const MEANINGS: Record<string, string> = glossary;
const WORDS = new RegExp(`\\b(${Object.keys(MEANINGS).sort((a, b) => b.length - a.length).join("|")})(s|es)?\\b`, "g");

/** The text; the first time that a word of the glossary occurs, it explains itself. */
export function Glossed({ text }: { text: string }) {
  const parts: (string | [string, string])[] = [];
  const told = new Set<string>();
  let from = 0;
  for (const found of text.matchAll(WORDS)) {
    const word = found[1]!;
    if (told.has(word)) continue;
    told.add(word);
    parts.push(text.slice(from, found.index), [found[0], word]);
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  return <>{parts.map((part) => (typeof part === "string" ? part : <Term shown={part[0]} meaning={MEANINGS[part[1]]!} />))}</>;
}

function Term({ shown, meaning }: { shown: string; meaning: string }) {
  const id = useId();
  return (
    <span class="term">
      <button type="button" class="word" aria-describedby={id} title={say("lessons.meaning")}>{shown}</button>
      <span class="meaning" role="tooltip" id={id}>{meaning}</span>
    </span>
  );
}
