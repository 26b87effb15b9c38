// The meter: releases as equal ticks, made or spare, and epsilon so far against its budget.
import { epsilon, plain } from "../../format";
import { useWidth } from "../../size";
import { roundRecord, run } from "../../state";
import { say } from "../../words";

/** More ticks than this are a bar: single ones would be thinner than a pixel. */
const MOST_TICKS = 80;
const HEIGHT = 22;

export function Meter() {
  const [box, width] = useWidth();
  const made = roundRecord.value?.releases ?? 0;
  const allowed = Math.max(made, run.value!.privacy.releases_allowed ?? run.value!.rounds);
  return (
    <div class="meter-of-releases" ref={box}>
      <svg width={width} height={HEIGHT} role="img" aria-label={words(made, allowed)}>
        <Hatch id="spare" />
        {allowed > MOST_TICKS
          ? <Bar width={width} share={made / allowed} />
          : <Ticks width={width} made={made} allowed={allowed} />}
      </svg>
      <p class="note">{words(made, allowed)}</p>
    </div>
  );
}

function words(made: number, allowed: number): string {
  const { epsilon_budget: budget } = run.value!;
  const spare = allowed - made;
  const so = epsilon(roundRecord.value?.epsilon);
  return say(budget === null ? "privacy.meter" : "privacy.meter_of", {
    made, allowed, spare, so, budget: plain(budget),
  });
}

function Ticks({ width, made, allowed }: { width: number; made: number; allowed: number }) {
  const each = width / allowed;
  const gap = each > 6 ? 2 : 1;
  return (
    <>
      {Array.from({ length: allowed }, (_, at) => (
        <rect
          class={at < made ? "release made" : "release"}
          x={at * each}
          width={Math.max(1, each - gap)}
          height={HEIGHT}
        />
      ))}
    </>
  );
}

function Bar({ width, share }: { width: number; share: number }) {
  return (
    <>
      <rect class="release" width={width} height={HEIGHT} />
      <rect class="release made" width={width * share} height={HEIGHT} />
    </>
  );
}

/** Diagonal lines, for what is spare or noise: hue alone says nothing. */
export function Hatch({ id }: { id: string }) {
  return (
    <defs>
      <pattern id={id} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <line class="hatch" x1="0" x2="0" y1="0" y2="5" />
      </pattern>
    </defs>
  );
}
