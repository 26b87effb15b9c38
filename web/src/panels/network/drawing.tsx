// Links, nodes, and what is on its way. Only what moves is drawn again as the clock goes on.
import type { LinkRecord, RefusalRecord, TripRecord } from "../../records";
import { clock } from "../../state";
import { arrived, flying, refused } from "./flight";
import { between, type Layout, tick } from "./layout";

/** Share of a round for which a node shows that something has arrived. */
const FLASH = 0.03;
/** More compute nodes than this have no room for their names. */
const MOST_NAMED = 40;

export function Links({ links, layout }: { links: readonly LinkRecord[]; layout: Layout }) {
  const lines = links.flatMap(({ a, b }) => {
    const [from, to] = [layout.spots.get(a), layout.spots.get(b)];
    return from && to ? [`M${from.x.toFixed(1)} ${from.y.toFixed(1)}L${to.x.toFixed(1)} ${to.y.toFixed(1)}`] : [];
  });
  return <path class={links.length > 120 ? "links many" : "links"} d={lines.join("")} />;
}

interface NodesProps {
  layout: Layout;
  size: number;
  /** Numbers of the holders that attack, as texts. */
  attacking: ReadonlySet<string>;
}

export function Nodes({ layout, size, attacking }: NodesProps) {
  const named = !layout.spots.has(`c${MOST_NAMED}`);
  return (
    <>
      {[...layout.spots].map(([name, spot]) => {
        const [compute, attacks] = [name.startsWith("c"), attacking.has(name.slice(1))];
        const kind = `node ${compute ? "compute" : attacks ? "attacks" : ""}`;
        if (layout.ticks && !compute) return <path class={`${kind} tick`} d={tick(spot, size, attacks ? 12 : 7)} />;
        return (
          <g class={kind} transform={`translate(${spot.x.toFixed(1)} ${spot.y.toFixed(1)})`}>
            <title>{name}</title>
            <circle r={compute ? 11 : 5} />
            {!compute && attacks && <path d="M-3 -3L3 3M-3 3L3 -3" />}
            {compute && named && <text text-anchor="middle" y={4}>{name}</text>}
          </g>
        );
      })}
    </>
  );
}

interface MovingProps {
  layout: Layout;
  trips: readonly TripRecord[];
  refusals: readonly RefusalRecord[];
  /** Ids of the messages of attackers. */
  attacks: ReadonlySet<string>;
  /** Start and end of the round in simulated seconds. */
  times: readonly [number, number];
}

/** What moves at the page's clock. When all is over, the nodes stay marked that refused something. */
export function Moving({ layout, trips, refusals, attacks, times: [start, end] }: MovingProps) {
  const now = clock.value;
  const shown = now < end ? arrived(trips, refusals, now, FLASH * (end - start)) : refused(refusals);
  return (
    <g>
      {shown.map(({ node, refused: isRefused }) => {
        const spot = layout.spots.get(node);
        if (!spot) return null;
        const radius = node.startsWith("c") ? 14 : 8;
        return (
          <g class={isRefused ? "flash refused" : "flash"} transform={`translate(${spot.x} ${spot.y})`}>
            <circle r={radius} />
            {isRefused && <path d={`M${-radius} ${-radius}L${radius} ${radius}M${-radius} ${radius}L${radius} ${-radius}`} />}
          </g>
        );
      })}
      {flying(trips, now).map(({ what, id, from, to, share }) => {
        const [start, end] = [layout.spots.get(from), layout.spots.get(to)];
        if (!start || !end) return null;
        const { x, y } = between(start, end, share);
        const kind = attacks.has(id) ? "flying attacks" : "flying";
        return what === "block"
          ? <rect class={kind} x={x - 4} y={y - 4} width={8} height={8} />
          : <circle class={kind} cx={x} cy={y} r={attacks.has(id) ? 3 : 2} />;
      })}
    </g>
  );
}
