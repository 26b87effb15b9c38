// The ranking: every message with its angle, its norm beside its noise, and its fate.
import { share, three } from "../../format";
import { Scroll } from "../../parts/Table";
import type { MessageRecord } from "../../records";
import { say } from "../../words";
import { Mark } from "./mark";
import { shownRows } from "./rows";
import { digits, fateOf, type Scene } from "./scene";
import type { Row, View } from "./view";

const BAR = 84;
const SHORT_BAR = 52;
const HATCH = "compass-hatch";

interface RankingProps {
  scene: Scene;
  /** Leave out the angle: it tells the same as the cosine. */
  narrow: boolean;
  onPoint: (place: number | null) => void;
}

export function Ranking({ scene, narrow, onPoint }: RankingProps) {
  const { view } = scene;
  const cutAfter = view.keep !== null && view.keep < view.rows.length ? view.keep : null;
  const longest = longestOf(view);
  const columns = columnsOf(scene, narrow);
  const differ = shareDiffers(view);
  const mustShow = (rank: number) => scene.attacks(view.rows[view.order[rank]!]!);
  return (
    <Scroll name={say("compass.ranking")}>
      <Hatch />
      <table class="ranking">
        <thead>
          <tr>
            {columns.map((words) => <th scope="col">{words}</th>)}
            <th scope="col" class="bar-head"><BarKey noise={view.rows.some((row) => row.noise !== null)} /></th>
            <th scope="col">{say("compass.fate")}</th>
          </tr>
        </thead>
        <tbody>
          {shownRows(view.rows.length, cutAfter, mustShow).map((entry) =>
            "more" in entry ? (
              <tr class="left"><td colSpan={columns.length + 2}>{say("compass.more_rows", { n: entry.more })}</td></tr>
            ) : (
              <>
                {entry.rank === cutAfter && (
                  <tr class="cut"><td colSpan={columns.length + 2}>{say("compass.cut", { n: view.used })}</td></tr>
                )}
                <Line {...{ scene, narrow, rank: entry.rank, longest, differ, onPoint }} />
              </>
            ))}
          {view.late.map((late) => <Late scene={scene} late={late} columns={columns.length} />)}
        </tbody>
      </table>
    </Scroll>
  );
}

/** A message that came too late for any block. */
function Late({ scene, late, columns }: { scene: Scene; late: MessageRecord; columns: number }) {
  const name = `${scene.groups ? "g" : "h"}${late.holder}`;
  return (
    <tr class="left late">
      <td>–</td>
      <th scope="row">{scene.truth ? name : late.id.slice(0, 6)}</th>
      <td colSpan={columns - 2}>–</td>
      <td>{three(late.norm)}</td>
      <td>{say("compass.late")}</td>
    </tr>
  );
}

function columnsOf(scene: Scene, narrow: boolean): string[] {
  const scored = scene.view.reading.as === "score";
  const who = scene.truth ? (scene.groups ? "group" : "holder") : "message";
  const names = ["rank", who, ...(narrow ? [] : ["angle"] as const), "cosine"] as const;
  const columns = names.map((name) => say(`compass.${name}`));
  return scored ? [...columns, scene.judgedBy ?? say("compass.score")] : columns;
}

/** The norm that fills a bar: an outlier's bar ends there too. */
function longestOf(view: View): number {
  const most = 1.6 * view.medianNorm;
  return Math.max(0, ...view.rows.map((row) => Math.min(row.norm, most)));
}

interface LineProps extends RankingProps {
  rank: number;
  longest: number;
  differ: boolean;
}

function Line({ scene, narrow, rank, longest, differ, onPoint }: LineProps) {
  const place = scene.view.order[rank]!;
  const row = scene.view.rows[place]!;
  const attacks = scene.attacks(row);
  const pointed = scene.pointed === place;
  return (
    <tr
      class={`${row.used ? "used" : "left"} ${attacks ? "attacks" : ""} ${pointed ? "pointed" : ""}`}
      onPointerEnter={() => onPoint(place)}
      onPointerLeave={() => onPoint(null)}
    >
      <td>{scene.view.thinned ? "–" : rank + 1}</td>
      <th scope="row">
        <svg class="key" width={14} height={14} aria-hidden="true"><Mark x={7} y={7} used={row.used} attacks={attacks} /></svg>
        <span class={scene.truth ? "" : "hash"}>{scene.name(row)}</span>
      </th>
      {!narrow && <td>{Math.round(row.angle)}°</td>}
      <td>{digits(row.cosine)}</td>
      {scene.view.reading.as === "score" && <td>{three(row.score)}</td>}
      <td><Bar row={row} longest={longest} attacks={attacks} size={narrow ? SHORT_BAR : BAR} /></td>
      <td>{fateOf(row, attacks)}{differ && row.used && say("compass.share", { share: share(row.share) })}</td>
    </tr>
  );
}

/** Whether shares differ by more than a quarter, so that the fate has to tell them. */
function shareDiffers(view: View): boolean {
  const shares = view.rows.filter((one) => one.used).map((one) => one.share);
  return Math.max(...shares) > 1.25 * Math.min(...shares);
}

interface BarProps {
  row: Row;
  longest: number;
  attacks: boolean;
  /** Pixels of the longest norm. */
  size: number;
}

/** The norm as a bar, hatched up to the norm that noise alone is expected to have. */
function Bar({ row, longest, attacks, size }: BarProps) {
  const long = (norm: number) => (longest > 0 ? Math.min(1, norm / longest) * size : 0);
  const [whole, noise] = [long(row.norm), Math.min(long(row.norm), long(row.noise ?? 0))];
  const words = say(row.noise === null ? "compass.norm_alone" : "compass.norm", {
    norm: three(row.norm), noise: three(row.noise),
  });
  return (
    <svg class={`bar ${attacks ? "attacks" : "honest"}`} width={size + 10} height={12} role="img" aria-label={words}>
      <title>{words}</title>
      <rect class="of-noise" x={0.5} y={1.5} width={noise} height={9} fill={`url(#${HATCH})`} />
      <rect class="of-signal" x={0.5 + noise} y={1.5} width={Math.max(0, whole - noise)} height={9} />
      {row.norm > longest && <path d={`M${size + 3} 2l4 4l-4 4`} />}
    </svg>
  );
}

function BarKey({ noise }: { noise: boolean }) {
  if (!noise) return <>{say("compass.norm_head")}</>;
  return (
    <>
      {say("compass.bar")}{" "}
      <svg class="bar" width={16} height={12} aria-hidden="true"><rect class="of-noise" x={0.5} y={1.5} width={14} height={9} fill={`url(#${HATCH})`} /></svg>{" "}
      {say("compass.bar_noise")}
    </>
  );
}

function Hatch() {
  return (
    <svg class="unseen" aria-hidden="true">
      <defs>
        <pattern id={HATCH} width={4} height={4} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="bar-hatch" width={1.5} height={4} />
        </pattern>
      </defs>
    </svg>
  );
}
