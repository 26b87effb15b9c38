// The wheel: every message at its exact angle to the sum of all directions.
import { scale } from "../../state";
import { say } from "../../words";
import { degrees } from "./gram";
import { isUpper, type Label, labelled, onRim, polar, rim, sector, shaft, type Stacks, UPPER } from "./geometry";
import { Handle, Mark } from "./mark";
import { type Scene } from "./scene";
import { keepAt, type Step } from "./selection";

const MOST_RADIUS = 168;
const SMALL = 110;
const MANY = 60;
const LEAST_RADIUS = 64;
const LETTER = 8;

interface Plan {
  readonly radius: number;
  readonly stacks: Stacks;
  readonly labels: Label[];
  readonly upper: boolean;
  /** Height of the drawing, and the place of the centre. */
  readonly height: number;
  readonly x: number;
  readonly y: number;
}

export function Wheel({ scene, width }: { scene: Scene; width: number }) {
  const { view, sides } = scene;
  const plan = planOf(scene, width);
  const angle = (place: number) => signed(view.rows[place]!.angle, sides(view.rows[place]!.holder));
  return (
    <svg class="wheel" width={width} height={plan.height} role="img" aria-label={scene.finding}>
      <g transform={`translate(${plan.x} ${plan.y})`}>
        <Face scene={scene} plan={plan} />
        {view.rows.map((row, place) => (
          <Ray
            angle={angle(place)}
            used={row.used}
            attacks={scene.attacks(row)}
            pointed={scene.pointed === place}
            {...shaft(row.norm, view.medianNorm, plan.radius)}
          />
        ))}
        <Arrows scene={scene} radius={plan.radius} />
        <Dots scene={scene} plan={plan} />
        {view.movable && <Edge scene={scene} plan={plan} />}
      </g>
    </svg>
  );
}

/** The largest wheel whose dots and labels find room side by side. Where it would be small, labels
 * that lie over dots are left out: the table has all names. */
function planOf(scene: Scene, width: number): Plan {
  let roomy: Plan | null = null;
  const step = scene.view.rows.length > MANY ? 20 : 6;
  const small = Math.min(SMALL, width / 4);
  for (let radius = MOST_RADIUS; radius >= (roomy ? small : LEAST_RADIUS); radius -= step) {
    const plan = planWith(scene, width, radius);
    if (!hasRoom(plan, width)) continue;
    if (plan.labels.every(isClear(plan))) return plan;
    roomy ??= plan;
  }
  const plan = roomy ?? planWith(scene, width, LEAST_RADIUS);
  return { ...plan, labels: plan.labels.filter(isClear(plan)) };
}

function planWith(scene: Scene, width: number, radius: number): Plan {
  const { view, sides } = scene;
  const upper = isUpper(view.rows.map((row) => row.cosine));
  const marks = scene.weighty.map((index) => {
    const row = view.rows[index]!;
    return { index, at: signed(row.angle, sides(row.holder)) };
  });
  const stacks = onRim(marks, radius);
  const named = new Set(scene.named);
  const texts = scene.named.map((index) => scene.name(view.rows[index]!));
  const heights = [...stacks.dots.map((dot) => dot.y), ...stacks.more.map((more) => more.y - 6)];
  const top = Math.max(radius, ...heights.map((y) => -y)) + 28 * scale.value;
  const deep = upper ? polar(UPPER, radius).y + 12 : radius + 22 * scale.value;
  const bottom = Math.max(deep, ...heights.map((y) => y + 12));
  const dots = stacks.dots
    .filter((dot) => named.has(dot.index))
    .map((dot) => ({ ...dot, text: scene.name(view.rows[dot.index]!) }));
  const edge = width / 2 - Math.max(0, ...texts.map((text) => text.length)) * LETTER * scale.value - 2;
  const labels = labelled(dots, edge, -top + 30, bottom - 8);
  return { radius, stacks, labels, upper, height: top + bottom, x: width / 2, y: top };
}

function hasRoom({ stacks }: Plan, width: number): boolean {
  return [...stacks.dots, ...stacks.more].every((one) => Math.abs(one.x) + 8 <= width / 2);
}

/** Whether a label lies beside the wheel and over no dot. */
function isClear({ stacks, radius }: Plan): (label: Label) => boolean {
  const drawn = [...stacks.dots, ...stacks.more];
  return ({ x, y, side }) =>
    Math.abs(x) >= radius + 12 &&
    drawn.every((one) => one.x * side + 12 < Math.abs(x) || Math.abs(one.y - y) > 14);
}

function signed(angle: number, loading: number): number {
  return loading < 0 ? -angle : angle;
}

function Face({ scene, plan }: { scene: Scene; plan: Plan }) {
  const { view } = scene;
  const { radius, upper } = plan;
  const end = upper ? 90 : 180;
  const ticks = Array.from({ length: 12 }, (_, turn) => turn * 30 - 150).filter((one) => Math.abs(one) <= end);
  return (
    <>
      {view.cut !== null && <path class="cone" d={sector(degrees(view.cut), radius)} />}
      <path class="rim" d={rim(upper, radius)} />
      <path class="median" d={rim(upper, 0.7 * radius)} />
      {ticks.map((tick) => {
        const [from, to] = [polar(tick, radius - 5), polar(tick, radius)];
        return <path class="rim" d={`M${from.x} ${from.y}L${to.x} ${to.y}`} />;
      })}
      <text class="soft" x={-radius + 9} y={4}>90°</text>
      <text class="soft" text-anchor="middle" y={14 * scale.value - plan.y}>{say("compass.sum")}</text>
      {!upper && <text class="soft" text-anchor="middle" y={radius + 16 * scale.value}>{say("compass.opposite")}</text>}
    </>
  );
}

interface RayProps {
  angle: number;
  solid: number;
  dotted: number;
  used: boolean;
  attacks: boolean;
  pointed: boolean;
}

/** How long a message is: solid up to the median circle, dotted beyond. */
function Ray({ angle, solid, dotted, used, attacks, pointed }: RayProps) {
  const [middle, end] = [polar(angle, solid), polar(angle, solid + dotted)];
  const kind = `ray ${attacks ? "attacks" : "honest"} ${used ? "used" : "left"} ${pointed ? "pointed" : ""}`;
  return (
    <g class={kind}>
      <path d={`M0 0L${middle.x} ${middle.y}`} />
      {dotted > 0 && <path class="beyond" d={`M${middle.x} ${middle.y}L${end.x} ${end.y}`} />}
    </g>
  );
}

function Arrows({ scene, radius }: { scene: Scene; radius: number }) {
  const { view, truth } = scene;
  const step = view.step && view.step.length > 0 ? placed(scene, view.step, radius) : null;
  const mean = truth && step && view.mean ? placed(scene, view.mean, radius) : null;
  const same = step !== null && mean !== null && view.agreement! > 0.985;
  const right = step !== null && (mean ? step.angle >= mean.angle : isFreer(scene, step.angle));
  return (
    <>
      <Arrow kind="sum" angle={0} reach={radius - 2} />
      {mean && <Arrow kind="mean" {...mean} right={!right} words={same ? "" : say("compass.mean")} />}
      {step && <Arrow kind="step" {...step} right={right} words={say(same ? "compass.both" : "compass.step")} />}
    </>
  );
}

/** Whether fewer lines lie to the right of an angle than to its left. The handle is on the right. */
function isFreer({ view, sides }: Scene, angle: number): boolean {
  const turns = view.rows.map((row) => signed(row.angle, sides(row.holder)) - angle);
  const right = turns.filter((turn) => turn > 0 && turn < 45).length + (view.movable ? 3 : 0);
  return right < turns.filter((turn) => turn <= 0 && turn > -45).length;
}

/** Where a step points: at its exact angle, on the side of its loading. Its length says nothing. */
function placed(scene: Scene, step: Step, radius: number): { angle: number; reach: number } {
  const { rows } = scene.view;
  const loading = step.parts.reduce((total, part, k) => total + part * scene.sides(rows[k]!.holder), 0);
  return { angle: signed(degrees(step.withSum ?? 1), loading), reach: 0.62 * radius };
}

interface ArrowProps {
  kind: "sum" | "mean" | "step";
  angle: number;
  reach: number;
  words?: string;
  /** On which side of the arrow the words stand. */
  right?: boolean;
}

function Arrow({ kind, angle, reach, words, right }: ArrowProps) {
  const end = polar(angle, reach);
  const head = kind === "sum" && `M-5 10L0 0L5 10Z`;
  return (
    <g class={`arrow to-${kind}`}>
      <path class="line" d={`M0 0L${end.x} ${end.y}`} />
      <g transform={`translate(${end.x} ${end.y}) rotate(${angle})`}>
        {head ? <path class="head" d={head} /> : <circle r={4.5} />}
      </g>
      {words && (
        <text x={end.x + (right ? 10 : -10)} y={end.y + 4} text-anchor={right ? "start" : "end"}>
          {words}
        </text>
      )}
    </g>
  );
}

function Dots({ scene, plan }: { scene: Scene; plan: Plan }) {
  const { rows } = scene.view;
  return (
    <>
      {plan.labels.map(({ text, from, x, y, side }) => (
        <g class="named">
          <path d={`M${from.x + side * 7} ${from.y}L${x - side * 4} ${y}`} />
          <text x={x} y={y + 4} text-anchor={side > 0 ? "start" : "end"}>{text}</text>
        </g>
      ))}
      {plan.stacks.dots.map(({ index, x, y }) => (
        <Mark {...scene.mark(rows[index]!, index)} x={x} y={y} />
      ))}
      {plan.stacks.more.map(({ count, x, y }) => (
        <text class="more-dots" x={x} y={y + 4} text-anchor="middle">+{count}</text>
      ))}
    </>
  );
}

/** The edge of the cone with its handle, within the rim so that it hides no dot. */
function Edge({ scene, plan }: { scene: Scene; plan: Plan }) {
  const { view } = scene;
  const angle = Math.min(degrees(view.cut!), plan.upper ? UPPER : 180);
  const at = polar(angle, plan.radius * 0.86);
  const drag = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGGElement).ownerSVGElement!.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - plan.x, event.clientY - box.top - plan.y];
    const cosine = -y / Math.max(1, Math.hypot(x, y));
    scene.onKeep(keepAt(view.rows.map((row) => row.cosine), cosine));
  };
  return <Handle x={at.x} y={at.y} onDrag={drag} />;
}
