// Where do messages travel? Nodes on two circles, and what is on its way at the page's clock.
import { useMemo } from "preact/hooks";
import { three, whole } from "../format";
import { chooseMoment, chooseRound } from "../moves";
import { Panel } from "../parts/Panel";
import { Range } from "../parts/Range";
import type { TableContent } from "../parts/Table";
import type { RefusalRecord, RunRecord, TripRecord } from "../records";
import { useWidth } from "../size";
import { clock, links, places, refusals, round, roundMessages, rounds, run, told, trips, truth } from "../state";
import { span } from "../time";
import { say } from "../words";
import { duration, summary } from "./network/flight";
import { Formula } from "./network/formula";
import { layoutOf, type Layout } from "./network/layout";
import { Links, Moving, Nodes } from "./network/drawing";

const LARGEST = 420;
const MOST_LINKS = 1500;

export function Network() {
  if (!run.value) return <Panel id="network" title={say("network.title")} finding="" empty={say("network.no_run")} />;
  const now = trips.value.get(round.value) ?? [];
  const finding = findingOf(run.value, now);
  return (
    <Panel
      id="network"
      title={say("network.title")}
      finding={finding}
      controls={now.length > 0 ? <Time trips={now} /> : undefined}
      table={now.length > 0 ? tripTable(now) : linkTable()}
      formula={now.length > 0 ? <Formula trip={slowestOf(now)} /> : undefined}
      code="fedchain/network/spreading.py:quickest"
    >
      <Picture run={run.value} trips={now} finding={finding} />
      <p class="note keys"><Key trips={now} /></p>
      {now.length === 0 && <p class="note">{say("network.static")}</p>}
      <Log />
    </Panel>
  );
}

function findingOf({ compute, holders }: RunRecord, now: readonly TripRecord[]): string {
  const who = { compute: whole(compute ?? 0), holders: whole(holders), n: compute ?? 0 };
  const messages = summary(now, "message");
  const blocks = summary(now, "block");
  const times = { round: round.value, messages: messages?.count ?? 0, blocks: blocks?.count ?? 0 };
  const slow = { slow: three(messages?.slowest), block: three(blocks?.slowest) };
  if (messages && blocks) return say("network.both", { ...times, ...slow, n: times.blocks });
  if (messages) return say("network.messages", { ...times, ...slow, n: times.messages });
  if (blocks) return say("network.blocks", { ...times, ...slow, n: times.blocks });
  if (links.value.length === 0) return say("network.nodes", who);
  const slowest = links.value.reduce((most, link) => Math.max(most, link.latency_ms), 0);
  return say("network.links", { ...who, links: whole(links.value.length), slowest: three(slowest) });
}

interface PictureProps {
  run: RunRecord;
  trips: readonly TripRecord[];
  finding: string;
}

function Picture({ run: { compute, noise_norm: participants, attackers }, trips: now, finding }: PictureProps) {
  const [box, width] = useWidth();
  const size = Math.min(width, LARGEST);
  const count = participants.length;
  const layout = useMemo(() => layoutOf(places.value, compute ?? 0, count, size), [places.value, compute, count, size]);
  const shown = truth.value && isOneEach(layout, count);
  const still = useMemo(() => {
    const drawn = links.value.length <= MOST_LINKS ? links.value : [];
    const attacking = new Set(shown ? Object.keys(attackers) : []);
    return (
      <>
        <Links links={drawn} layout={layout} />
        <Nodes layout={layout} size={size} attacking={attacking} />
      </>
    );
  }, [layout, links.value, shown, attackers]);
  return (
    <div ref={box}>
      {size > 0 && (
        <svg class="network" width={size} height={size} role="img" aria-label={finding}>
          {still}
          {now.length > 0 && <Moving layout={layout} trips={now} refusals={refusedNow()} attacks={attackIds()} times={times(now)} />}
        </svg>
      )}
    </div>
  );
}

/** Whether every participant has a place of its own: with cohorts, places are slots of changing holders. */
function isOneEach(layout: Layout, participants: number): boolean {
  return layout.spots.has(`h${participants - 1}`) && !layout.spots.has(`h${participants}`);
}

/** Ids of the messages of attackers, where the page may show them. */
function attackIds(): ReadonlySet<string> {
  const attacks = roundMessages.value.filter((message) => message.attack !== "");
  return new Set(truth.value ? attacks.map((message) => message.id) : []);
}

/** Start and end of what happens in this round: its last trip may end after its block. */
function times(now: readonly TripRecord[]): [number, number] {
  const [start, end] = span(rounds.value, told.value, round.value);
  const first = now.reduce((least, trip) => Math.min(least, trip.left_s), start);
  return [first, now.reduce((most, trip) => Math.max(most, trip.left_s + duration(trip)), end)];
}

/** The moment of the round, by hand: the timeline plays it. */
function Time({ trips: now }: { trips: readonly TripRecord[] }) {
  const [start, end] = times(now);
  const at = Math.min(end, Math.max(start, clock.value));
  const words = say("network.time", { seconds: (at - start).toFixed(3).replace(/^0/, "") });
  return (
    <>
      <Range
        label={say("network.moment")} min={0} max={200} value={Math.round((200 * (at - start)) / (end - start || 1))}
        words={words} onValue={(value) => chooseMoment(start + ((end - start) * value) / 200)}
      />
      <button onClick={() => chooseRound(round.value, 0)}>{say("network.begin")}</button>
    </>
  );
}

/** The kinds of marks that this run can show. */
function kindsOf({ holders, attackers, groups }: RunRecord, now: readonly TripRecord[]) {
  const known = [
    ["compute", true],
    [groups ? "group" : "holder", holders > 0],
    ["attacker", truth.value && Object.keys(attackers).length > 0],
    ["message", now.some((trip) => trip.what === "message")],
    ["block", now.length > 0],
  ] as const;
  return known.filter(([, shown]) => shown).map(([kind]) => kind);
}

function Key({ trips: now }: { trips: readonly TripRecord[] }) {
  const kinds = kindsOf(run.value!, now);
  return (
    <>
      {kinds.map((kind) => (
        <span>
          <svg class="network" width={14} height={14} aria-hidden="true">
            <g transform="translate(7 7)">
              {kind === "message" && <circle class="flying" r={3} />}
              {kind === "block" && <rect class="flying" x={-4} y={-4} width={8} height={8} />}
              {kind === "compute" && <circle class="node compute" r={6} />}
              {(kind === "holder" || kind === "group") && <circle class="node" r={4} />}
              {kind === "attacker" && <g class="node attacks"><circle r={4} /><path d="M-3 -3L3 3M-3 3L3 -3" /></g>}
            </g>
          </svg>{" "}
          {say(`network.${kind}`)}
        </span>
      ))}
    </>
  );
}

function refusedNow(): RefusalRecord[] {
  return refusals.value.filter((refusal) => refusal.round === round.value);
}

/** What honest compute nodes refused in this round, and why. */
function Log() {
  const here = refusedNow();
  if (here.length === 0) return null;
  return (
    <ul class="note log">
      {here.map((refusal) => <li>✕ {refusalWords(refusal)}</li>)}
    </ul>
  );
}

function refusalWords({ node, what, id, maker, time_s: time, reason }: RefusalRecord): string {
  const from = maker === null ? "" : say("network.of", { maker: `c${maker}` });
  return say("network.refused", {
    node: `c${node}`, what: say(`network.${what}`), id: id.slice(0, 8), from, time: three(time), reason,
  });
}

function slowestOf(now: readonly TripRecord[]): TripRecord {
  return now.reduce((slowest, trip) => (duration(trip) > duration(slowest) ? trip : slowest));
}

function tripTable(now: readonly TripRecord[]): TableContent {
  const head = (["what", "id", "sender", "left", "reached", "takes"] as const).map((key) => say(`network.${key}`));
  const rows = now.map((trip) => [
    say(`network.${trip.what}`), trip.id.slice(0, 8), trip.sender, trip.left_s.toFixed(3),
    trip.arrivals.length, three(duration(trip)),
  ]);
  return { head, rows };
}

function linkTable(): TableContent | undefined {
  if (links.value.length === 0) return undefined;
  const head = (["one_end", "other_end", "latency"] as const).map((key) => say(`network.${key}`));
  return { head, rows: links.value.map(({ a, b, latency_ms: ms }) => [a, b, three(ms)]) };
}
