// The rule's formula with the numbers of this round, as native MathML.
import { share, three } from "../../format";
import { say } from "../../words";
import type { Scene } from "./scene";

export function Formula({ scene }: { scene: Scene }) {
  const { view } = scene;
  const used = view.rows.filter((row) => row.used).length;
  const shares = view.rows.filter((row) => row.used).map((row) => row.share);
  const equal = shares.every((one) => Math.abs(one - shares[0]!) < 1e-6);
  return (
    <>
      <Cosine scene={scene} />
      {view.step && (
        <>
          <math display="block">
            <mi>g</mi><mo>=</mo>
            {equal ? <mfrac><mn>1</mn><mn>{used}</mn></mfrac> : null}
            <munder><mo>∑</mo><mtext>{say("compass.used")}</mtext></munder>
            {!equal && <msub><mi>a</mi><mi>k</mi></msub>}
            <Factor scale={view.reading.scale} median={view.medianNorm} />
            <msub><mi>u</mi><mi>k</mi></msub>
            <mo>,</mo><mspace width="1em" />
            <mo>‖</mo><mi>g</mi><mo>‖</mo><mo>=</mo><mn>{three(view.step.length)}</mn>
            {scene.truth && view.agreement !== null && (
              <>
                <mo>,</mo><mspace width="1em" />
                <mi>cos</mi><mo>(</mo><mi>g</mi><mo>,</mo><mi>h</mi><mo>)</mo><mo>=</mo><mn>{share(view.agreement)}</mn>
              </>
            )}
          </math>
          <p class="note">{say("compass.formula_step")}</p>
        </>
      )}
    </>
  );
}

/** The cosine of the message at the cut; of the first of the ranking where nothing is cut. */
function Cosine({ scene }: { scene: Scene }) {
  const { view } = scene;
  const place = view.order[(view.keep ?? 1) - 1];
  if (place === undefined) return null;
  const row = view.rows[place]!;
  const name = scene.name(row);
  return (
    <>
      <math display="block">
        <mi>v</mi><mo>=</mo><munder><mo>∑</mo><mi>k</mi></munder><msub><mi>u</mi><mi>k</mi></msub>
        <mo>,</mo><mspace width="1em" />
        <mi>cos</mi><msub><mi>θ</mi><mtext>{name}</mtext></msub><mo>=</mo>
        <mfrac>
          <mrow><mo>⟨</mo><msub><mi>u</mi><mtext>{name}</mtext></msub><mo>,</mo><mi>v</mi><mo>⟩</mo></mrow>
          <mrow><mo>‖</mo><mi>v</mi><mo>‖</mo></mrow>
        </mfrac>
        <mo>=</mo><mn>{share(row.cosine)}</mn>
        <mo>,</mo><mspace width="1em" />
        <mi>θ</mi><mo>=</mo><mn>{Math.round(row.angle)}°</mn>
      </math>
      <p class="note">{say(view.keep === null ? "compass.formula_cosine" : "compass.formula_keep", { n: view.keep ?? 0 })}</p>
    </>
  );
}

function Factor({ scale, median }: { scale: "restore" | "unit" | "median_clip"; median: number }) {
  if (scale === "unit") return null;
  const norm = <msub><mi>s</mi><mi>k</mi></msub>;
  if (scale === "restore") return norm;
  return (
    <mrow><mi>min</mi><mo>(</mo>{norm}<mo>,</mo><mn>{three(median)}</mn><mo>)</mo></mrow>
  );
}
