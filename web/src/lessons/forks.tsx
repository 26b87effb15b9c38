// Lesson 2: recorded chains with news that travels for a while, and the law of lost blocks.
import { useSignal } from "@preact/signals";
import { Range } from "../parts/Range";
import { Scroll } from "../parts/Table";
import { useWidth } from "../size";
import { say } from "../words";
import { Chart } from "./chart";
import type { PartProps, Play } from "./lesson";
import { short } from "./short";
import { type Placed, placedTree } from "./tree_places";

interface Point { delay_s: number; interval_s: number; seed: number; lost: number; law: number }
/** Height, place of the parent or -1, seconds, whether the block is on the main chain. */
type Block = [number, number, number, boolean];
interface ForksData { asked_delay_s: number; points: Point[]; trees: Record<string, Block[]> }

export const forksPlay: Play<number, ForksData> = {
  start: () => 0,
  Predict: ({ progress }) => (
    <Range
      label={say("lessons.share_lost")}
      min={0}
      max={1}
      step={0.01}
      value={progress.prediction.value}
      words={short(progress.prediction.value)}
      onValue={(lost) => progress.say(lost)}
    />
  ),
  Try,
  words: (lost) => say("lessons.said_lost", { share: short(lost) }),
};

function Try({ data, progress }: PartProps<number, ForksData>) {
  const delays = Object.keys(data.trees).sort((a, b) => Number(a) - Number(b));
  const chosen = useSignal(0);
  const delay = delays[chosen.value]!;
  const blocks = data.trees[delay]!;
  const lost = blocks.filter((block) => !block[3]).length;
  const interval = data.points[0]!.interval_s;
  const words = say("lessons.delay", { delay: short(Number(delay)), x: short(Number(delay) / interval) });
  return (
    <>
      <Range label={say("lessons.news")} min={0} max={delays.length - 1} value={chosen.value} words={words} onValue={(at) => (chosen.value = at)} />
      <p role="status">{say("lessons.lost_here", { lost, all: blocks.length })}</p>
      <Scroll name={say("lessons.tree")}><Tree blocks={blocks} lost={lost} /></Scroll>
      {progress.shown.value && <Law data={data} said={progress.prediction.value} />}
    </>
  );
}

const STEP = 28;
const LANE = 30;

function Tree({ blocks, lost }: { blocks: Block[]; lost: number }) {
  const { places, lanes } = placedTree(blocks.map(([height, parent, , main]) => ({ height, parent, main })));
  const x = ({ height }: Placed) => (height - 1) * STEP + 16;
  const y = ({ lane }: Placed) => lane * LANE + 16;
  const width = Math.max(...places.map(x)) + 20;
  return (
    <svg class="tree" width={width} height={lanes * LANE + 8} role="img" aria-label={say("lessons.lost_here", { lost, all: blocks.length })}>
      {places.map((place) => {
        const below = places[place.parent];
        return below && <path class="link" d={`M${x(below) + 10} ${y(below)}L${x(place) - 10} ${y(place)}`} />;
      })}
      {places.map((place) => (
        <g class={place.main ? "block" : "block lost"}>
          <rect x={x(place) - 10} y={y(place) - 10} width={20} height={20} rx={3} />
          {!place.main && <path d={`M${x(place) - 4} ${y(place) - 4}l8 8m0-8l-8 8`} />}
        </g>
      ))}
    </svg>
  );
}

function Law({ data, said }: { data: ForksData; said: number }) {
  const [box, width] = useWidth();
  const xs = data.points.map((point) => point.delay_s / point.interval_s);
  const most = Math.max(...xs);
  const law = Array.from({ length: 41 }, (_, at) => (at / 40) * most).map((x) => [x, x / (1 + x)] as const);
  const asked = data.asked_delay_s / data.points[0]!.interval_s;
  return (
    <div ref={box} class="picture">
      <Chart
        width={width}
        name={say("lessons.law_picture")}
        x={{ label: say("lessons.law_x"), low: 0, high: most, ticks: [0, 0.2, 0.4, 0.6, 0.8] }}
        y={{ label: say("lessons.share_lost"), low: 0, high: Math.max(0.5, said), ticks: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1] }}
        lines={[{ points: law, kind: "law", label: "x / (1 + x)" }]}
        dots={data.points.map((point, at) => ({ x: xs[at]!, y: point.lost, kind: "measured" }))}
        guess={[{ x: asked, y: said }]}
      />
    </div>
  );
}
