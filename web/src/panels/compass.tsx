// Whose gradients does this round use? Wheel, strip and ranking of the messages of one block.
import { useState } from "preact/hooks";
import { share, three } from "../format";
import { Panel } from "../parts/Panel";
import { Range } from "../parts/Range";
import type { TableContent } from "../parts/Table";
import { Toggle } from "../parts/Toggle";
import { useWidth } from "../size";
import { grams, keep, messages, round, roundMessages, roundRecord, rounds, run, told, truth } from "../state";
import { say } from "../words";
import { findingOf } from "./compass/finding";
import { Formula } from "./compass/formula";
import { gramOf } from "./compass/gram";
import { Mark } from "./compass/mark";
import { Ranking } from "./compass/ranking";
import { codeOf } from "./compass/rules";
import { digits, fateOf, type Scene, sceneOf } from "./compass/scene";
import { Sides } from "./compass/sides";
import { Strip } from "./compass/strip";
import { inBlockOf, type View, viewOf } from "./compass/view";
import { Wheel } from "./compass/wheel";

const NARROW = 480;
const WIDE = 720;

export function Compass() {
  const [pointed, setPointed] = useState<number | null>(null);
  const lacks = lacking();
  if (lacks || !run.value) {
    return <Panel id="compass" title={say("compass.title")} finding="" empty={lacks ?? say("compass.no_run")} />;
  }
  const record = grams.value.get(roundRecord.value!.block);
  const view = viewOf(run.value, roundRecord.value!, roundMessages.value, record, keep.value);
  const finding = findingOf(view, run.value, round.value, truth.value);
  const { groups, judged_by: judgedBy, rule } = run.value;
  const onKeep = (kept: number) => (keep.value = kept === view.chainKeep ? null : kept);
  const scene = sceneOf(view, {
    truth: truth.value, groups, judgedBy, finding, sides: sidesNow(), pointed, onPoint: setPointed, onKeep,
  });
  const code = codeOf(rule.kind);
  return (
    <Panel
      id="compass"
      title={say("compass.title")}
      finding={finding}
      controls={<Controls scene={scene} />}
      table={tableOf(scene)}
      formula={<Formula scene={scene} />}
      {...(code ? { code } : {})}
    >
      <Picture scene={scene} onPoint={setPointed} />
    </Panel>
  );
}

/** What the run lacks for this panel; null if there is something to show. */
function lacking(): string | null {
  if (run.value && run.value.weights === 0) return say("compass.no_messages");
  if (roundRecord.value === null) return say("compass.no_round");
  const inBlock = inBlockOf(roundMessages.value, roundRecord.value.block);
  return inBlock.length === 0 ? say("compass.empty_block") : null;
}

const known = new Sides();

/** Which side each holder lies on in this round. */
function sidesNow(): ReadonlyMap<number, number> {
  const blockOf = (one: number) => rounds.value.get(one)?.block ?? "";
  const recordOf = (one: number) => grams.value.get(blockOf(one));
  return known.at(told.value.filter(recordOf), round.value, (one) => ({
    gram: gramOf(recordOf(one)!)!,
    holders: inBlockOf(messages.value.get(one) ?? [], blockOf(one)).map((message) => message.holder),
  }));
}

function Picture({ scene, onPoint }: { scene: Scene; onPoint: (place: number | null) => void }) {
  const [box, width] = useWidth();
  const [shown, setShown] = useState(false);
  const left = width >= WIDE ? Math.floor(width * 0.48) : width;
  const hidden = width < NARROW && !shown;
  const beside = width >= WIDE ? width - left - 20 : width;
  const drawsStrip = scene.view.reading.as !== "columns";
  return (
    <div class={width >= WIDE ? "compass wide" : "compass"} ref={box}>
      {width > 0 && (
        <>
          <div class="pictures" style={{ width: `${left}px` }}>
            {width < NARROW && drawsStrip && <Strip scene={scene} width={left} />}
            {scene.view.gram === null && <p class="note">{say("compass.no_cosines")}</p>}
            {scene.view.gram !== null && width < NARROW && (
              <button aria-expanded={shown} onClick={() => setShown(!shown)}>
                {say(shown ? "compass.hide_wheel" : "compass.show_wheel")}
              </button>
            )}
            {scene.view.gram !== null && !hidden && <Wheel scene={scene} width={left} />}
            {width >= NARROW && drawsStrip && <Strip scene={scene} width={left} />}
            {scene.view.thinned && (
              <p class="note">
                {say("compass.thinned", { shown: scene.view.rows.length, of: scene.view.messages })}
              </p>
            )}
            <Key scene={scene} />
          </div>
          <Ranking scene={scene} narrow={beside < (scene.view.reading.as === "score" ? 520 : 400)} onPoint={onPoint} />
        </>
      )}
    </div>
  );
}

function Key({ scene: { truth, view } }: { scene: Scene }) {
  const linear = view.step !== null;
  const kinds = [
    ["used", true, false], ["left", false, false],
    ...(truth && view.attackers > 0 ? [["attacker_used", true, true], ["attacker_left", false, true]] as const : []),
  ] as const;
  return (
    <p class="note keys">
      {kinds.map(([words, used, attacks]) => (
        <span>
          <svg width={14} height={14} aria-hidden="true"><Mark x={7} y={7} used={used} attacks={attacks} /></svg>{" "}
          {say(`compass.${words}`)}
        </span>
      ))}
      {linear && <span class="of-step">{say("compass.key_step")}</span>}
      {linear && truth && <span class="of-mean">{say("compass.key_mean")}</span>}
      <span>{say("compass.key_rays")}</span>
    </p>
  );
}

function Controls({ scene }: { scene: Scene }) {
  const { view } = scene;
  return (
    <>
      {view.movable && (
        <Range
          label={say("compass.keep")}
          min={1}
          max={view.rows.length}
          value={view.keep!}
          words={say("compass.kept", { keep: view.keep!, of: view.rows.length })}
          onValue={scene.onKeep}
        />
      )}
      {view.moved && (
        <button class="back" onClick={() => (keep.value = null)}>
          {say("compass.back", { keep: view.chainKeep! })}
        </button>
      )}
      <Toggle label={say("compass.truth")} on={truth.value} onSwitch={(on) => (truth.value = on)} />
      {view.moved && <p class="note">{say("compass.what_if")}</p>}
      {view.close && <p class="note">{say("compass.close")}</p>}
    </>
  );
}

function tableOf(scene: Scene): TableContent {
  const { view } = scene;
  const scored = view.reading.as === "score";
  const names = ["rank", "message", "angle", "cosine", "norm_head", "noise_head", "share_head", "fate"] as const;
  const head = names.map((name) => say(`compass.${name}`));
  if (scored) head.splice(4, 0, scene.judgedBy ?? say("compass.score"));
  const rows = view.order.map((place, rank) => {
    const row = view.rows[place]!;
    const cells = [
      view.thinned ? "–" : rank + 1, scene.name(row), `${row.angle.toFixed(1)}°`, digits(row.cosine), three(row.norm),
      three(row.noise), share(row.share), fateOf(row, scene.attacks(row)) + reasonOf(view, row.reason),
    ];
    if (scored) cells.splice(4, 0, three(row.score));
    return cells;
  });
  return { caption: say("compass.numbers"), head, rows };
}

function reasonOf(view: View, reason: string): string {
  return reason && !view.moved ? `: ${reason}` : "";
}
