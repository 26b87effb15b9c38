// Lesson 7: erase the points of a scan that lie, then compare with the truth and three filters.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { share, whole } from "../format";
import { judgedBits, STATE } from "../panels/masks/pixels";
import { readCloud, VIEWS, type ViewName } from "../panels/points/projection";
import { Table } from "../parts/Table";
import { bitsOf, bytesOf } from "../records";
import { say } from "../words";
import { Choice } from "./choice";
import { classOf, CloudPicture, markAt } from "./cloud";
import { Eraser } from "./eraser";
import type { PartProps, Play } from "./lesson";

export interface PointsData {
  points: string;
  count: number;
  scale_m: number;
  truth: string;
  /** Bits of what each filter keeps. */
  kept: Record<Filter, string>;
}
const FILTERS = ["model", "keep_everything", "morphology"] as const;
type Filter = (typeof FILTERS)[number];
const SHOWN = ["mine", "truth", ...FILTERS] as const;
type Shown = (typeof SHOWN)[number];
/** One flag a point: 1 if the reader has erased it. */
type Erased = Uint8Array;

export const pointsPlay: Play<Erased, PointsData> = {
  start: (data) => new Uint8Array(data.count),
  Predict: ({ data, progress }) => <Eraser data={data} progress={progress} />,
  Try,
  words: (erased, data) => {
    const count = erased.reduce((sum, one) => sum + one, 0);
    return say("lessons.said_points", { n: whole(count), all: whole(data.count) });
  },
};

function Try({ data, progress }: PartProps<Erased, PointsData>) {
  const view = useSignal<ViewName>("top");
  const whose = useSignal<Shown>("mine");
  const cloud = useMemo(() => readCloud(bytesOf(data.points), data.scale_m), [data]);
  const truth = bitsOf(data.truth, data.count);
  const keptBy = (name: Shown) => {
    if (name === "mine") return progress.prediction.value.map((one) => 1 - one);
    return name === "truth" ? truth : bitsOf(data.kept[name], data.count);
  };
  const judged = Object.fromEntries(SHOWN.map((name) => [name, judgedBits(truth, keptBy(name))]));
  const { states } = judged[whose.value]!;
  const rows = (["mine", ...FILTERS] as const).map((name) => {
    const { counts } = judged[name]!;
    return [say(`lessons.filter_${name}`), share(counts.iou), whole(counts.wronglyKept), whole(counts.wronglyRemoved)];
  });
  return (
    <>
      <Choice name="whose" options={SHOWN.map((id) => ({ id, words: say(`lessons.filter_${id}`) }))} chosen={whose.value} onChoose={(id) => (whose.value = id as Shown)} />
      <Views view={view.value} onView={(name) => (view.value = name)} name="view-of-answer" />
      <CloudPicture cloud={cloud} view={view.value} states={states} name={say("lessons.judged_cloud", { whose: say(`lessons.filter_${whose.value}`), iou: share(judged[whose.value]!.counts.iou) })} />
      <Key />
      <Table head={[say("lessons.who"), say("metric.iou"), say("masks.wrongly_kept"), say("masks.wrongly_removed")]} rows={rows} />
    </>
  );
}

/** The marks of the points, in words. */
function Key() {
  const marks = [[STATE.kept, "kept"], [STATE.removed, "removed"], [STATE.wronglyKept, "wrongly_kept"], [STATE.wronglyRemoved, "wrongly_removed"]] as const;
  return (
    <p class="keys note">
      {marks.map(([state, words]) => (
        <span>
          <svg width={12} height={12} aria-hidden="true"><path class={classOf(state)} d={markAt(6, 6, state, 3)} /></svg> {say(`masks.${words}`)}
        </span>
      ))}
    </p>
  );
}

export function Views({ view, onView, name }: { view: ViewName; onView: (name: ViewName) => void; name: string }) {
  const options = (Object.keys(VIEWS) as ViewName[]).map((id) => ({ id, words: say(`lessons.view_${id}`) }));
  return <Choice name={name} options={options} chosen={view} onChoose={(id) => onView(id as ViewName)} />;
}
