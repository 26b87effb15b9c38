// Lesson 7: erase the points of a scan that lie, then compare with the truth and three filters.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { share } from "../format";
import { judgedBits } from "../panels/masks/pixels";
import { readCloud, VIEWS, type ViewName } from "../panels/points/projection";
import { Table } from "../parts/Table";
import { bitsOf, bytesOf } from "../records";
import { say } from "../words";
import { Choice } from "./choice";
import { CloudPicture } from "./cloud";
import { Eraser } from "./eraser";
import { Legend } from "./epsilon";
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
/** One flag a point: 1 if the reader has erased it. */
type Erased = Uint8Array;

export const pointsPlay: Play<Erased, PointsData> = {
  start: (data) => new Uint8Array(data.count),
  Predict: ({ data, progress }) => <Eraser data={data} progress={progress} />,
  Try,
  words: (erased, data) => {
    const count = erased.reduce((sum, one) => sum + one, 0);
    return say("lessons.said_points", { n: count, all: data.count });
  },
};

function Try({ data, progress }: PartProps<Erased, PointsData>) {
  const view = useSignal<ViewName>("top");
  const whose = useSignal<Filter | "mine">("mine");
  const cloud = useMemo(() => readCloud(bytesOf(data.points), data.scale_m), [data]);
  const truth = bitsOf(data.truth, data.count);
  const keptBy = (name: Filter | "mine") =>
    name === "mine" ? progress.prediction.value.map((one) => 1 - one) : bitsOf(data.kept[name], data.count);
  const judged = Object.fromEntries((["mine", ...FILTERS] as const).map((name) => [name, judgedBits(truth, keptBy(name))]));
  const { states } = judged[whose.value]!;
  const rows = (["mine", ...FILTERS] as const).map((name) => {
    const { counts } = judged[name]!;
    return [say(`lessons.filter_${name}`), share(counts.iou), counts.wronglyKept, counts.wronglyRemoved];
  });
  return (
    <>
      <Choice name="whose" options={(["mine", ...FILTERS] as const).map((id) => ({ id, words: say(`lessons.filter_${id}`) }))} chosen={whose.value} onChoose={(id) => (whose.value = id as Filter)} />
      <Views view={view.value} onView={(name) => (view.value = name)} name="view-of-answer" />
      <CloudPicture cloud={cloud} view={view.value} states={states} name={say("lessons.judged_cloud", { whose: say(`lessons.filter_${whose.value}`), iou: share(judged[whose.value]!.counts.iou) })} />
      <Legend />
      <Table head={[say("lessons.who"), "IoU", say("masks.wrongly_kept"), say("masks.wrongly_removed")]} rows={rows} />
    </>
  );
}

export function Views({ view, onView, name }: { view: ViewName; onView: (name: ViewName) => void; name: string }) {
  const options = (Object.keys(VIEWS) as ViewName[]).map((id) => ({ id, words: say(`lessons.view_${id}`) }));
  return <Choice name={name} options={options} chosen={view} onChoose={(id) => onView(id as ViewName)} />;
}
