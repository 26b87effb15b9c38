// Lesson 6: change one bit of a model on the chain, mine again, and see what every node still finds.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { whole } from "../format";
import { Range } from "../parts/Range";
import { Scroll } from "../parts/Table";
import { bytesOf } from "../records";
import { say } from "../words";
import { Choice } from "./choice";
import type { PartProps, Play } from "./lesson";
import { type Check, CHECKS, judge, mine, nameOf, onTopOf, readChain, type Verdict, withFlippedBit } from "./tampered";

interface TamperingData { chain: string }
const CHOICES = ["block", "all", "never"] as const;
type Said = (typeof CHOICES)[number] | null;

export const tamperingPlay: Play<Said, TamperingData> = {
  start: () => null,
  Predict: ({ progress }) => (
    <Choice
      name="tamper"
      options={CHOICES.map((id) => ({ id, words: say(`lessons.tamper_${id}`) }))}
      chosen={progress.prediction.value}
      onChoose={(id) => progress.say(id as Said)}
    />
  ),
  Try,
  words: (said) => (said ? say("lessons.said_tamper", { what: say(`lessons.tamper_${said}`) }) : ""),
};

/** Tries in one task of the browser, so that the page stays quick. */
const AT_ONCE = 400;

function Try({ data }: PartProps<Said, TamperingData>) {
  const chain = useMemo(() => readChain(bytesOf(data.chain)), [data]);
  const headers = useSignal(chain.headers);
  const chosen = useSignal(Math.ceil(chain.headers.length / 2) - 1);
  const tries = useSignal(0);
  const busy = useSignal(false);
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);
  const verdicts = judge(chain, headers.value);
  const put = (at: number, header: Uint8Array) => (headers.value = headers.value.map((old, place) => (place === at ? header : old)));
  const mineFrom = async (last: number) => {
    busy.value = true;
    tries.value = 0;
    for (let at = chosen.value; at <= last && alive.current; at += 1) {
      const start = at > chosen.value ? onTopOf(headers.value[at]!, headers.value[at - 1]!) : headers.value[at]!;
      put(at, await mined(start, alive, (count) => (tries.value += count)));
    }
    busy.value = false;
  };
  const undo = () => {
    headers.value = chain.headers;
    tries.value = 0;
  };
  const touched = headers.value !== chain.headers;
  return (
    <>
      <div class="controls">
        <Range label={say("lessons.block")} min={1} max={chain.headers.length} value={chosen.value + 1} words={`#${chosen.value + 1}`} onValue={(height) => (chosen.value = height - 1)} />
      </div>
      <div class="controls">
        <button disabled={busy.value} onClick={() => put(chosen.value, withFlippedBit(chain, chosen.value))}>{say("lessons.flip")}</button>
        <button disabled={busy.value || !touched} onClick={() => mineFrom(chosen.value)}>{say("lessons.mine")}</button>
        <button disabled={busy.value || !touched} onClick={() => mineFrom(chain.headers.length - 1)}>{say("lessons.mine_all")}</button>
        <button disabled={busy.value || !touched} onClick={undo}>{say("lessons.undo")}</button>
      </div>
      <Blocks headers={headers.value} verdicts={verdicts} chosen={chosen} />
      <p role="status" class="strong">{statusOf(verdicts, tries.value, busy.value)}</p>
    </>
  );
}

/** Mine a header in small pieces, and tell how many nonces were tried. */
async function mined(header: Uint8Array, alive: { current: boolean }, onTries: (count: number) => void): Promise<Uint8Array> {
  for (let from = 0; alive.current; from += AT_ONCE) {
    const { done, tries } = mine(header, from, AT_ONCE);
    onTries(tries);
    if (done) return done;
    await new Promise((resolve) => setTimeout(resolve));
  }
  return header;
}

function statusOf(verdicts: Verdict[], tries: number, busy: boolean): string {
  if (busy) return say("lessons.mining", { n: whole(tries) });
  const wrong = verdicts.flatMap((verdict, at) => CHECKS.filter((check) => !verdict[check]).map((check) => say(`lessons.wrong_${check}`, { height: at + 1 })));
  const mined = tries ? `${say("lessons.mined", { n: whole(tries) })} ` : "";
  return mined + (wrong.length ? say("lessons.refused", { what: wrong.join("; ") }) : say("lessons.accepted"));
}

function Blocks({ headers, verdicts, chosen }: { headers: readonly Uint8Array[]; verdicts: Verdict[]; chosen: Signal<number> }) {
  return (
    <Scroll name={say("lessons.blocks")}>
      <ol class="chain">
        {headers.map((header, at) => {
          const good = CHECKS.every((check) => verdicts[at]![check]);
          const below = verdicts.slice(0, at).every((verdict) => CHECKS.every((check) => verdict[check]));
          const name = nameOf(header);
          const zeros = /^0*/.exec(name)![0].length;
          return (
            <li class={`${good ? "good" : "broken"}${below ? "" : " on-broken"}${at === chosen.value ? " chosen" : ""}`}>
              <p class="note">#{at + 1}</p>
              <p class="hash"><span class="soft">{name.slice(0, zeros)}</span>{name.slice(zeros)}</p>
              <ul>{CHECKS.map((check) => <Mark check={check} right={verdicts[at]![check]} />)}</ul>
            </li>
          );
        })}
      </ol>
    </Scroll>
  );
}

function Mark({ check, right }: { check: Check; right: boolean }) {
  return (
    <li class={right ? "right" : "wrong"}>
      <span aria-hidden="true">{right ? "✓" : "✕"}</span> {say(`lessons.check_${check}`)}
      <span class="unseen"> {say(right ? "lessons.holds" : "lessons.fails")}</span>
    </li>
  );
}

