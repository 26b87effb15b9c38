// How well the model finds the points that should go, with the numbers of this cloud.
import { share } from "../../format";
import { say } from "../../words";
import type { Cleaned } from "./marks";

export function Formula({ one }: { one: Cleaned }) {
  const { points, kept, wronglyKept, wronglyRemoved } = one.counts;
  const found = points - kept - wronglyRemoved;
  const either = found + wronglyKept + wronglyRemoved;
  return (
    <>
      <math display="block">
        <msub><mi>IoU</mi><mtext>{say("points.outliers_short")}</mtext></msub><mo>=</mo>
        <mfrac>
          <mrow><mo>|</mo><mi>R</mi><mo>∩</mo><mi>O</mi><mo>|</mo></mrow>
          <mrow><mo>|</mo><mi>R</mi><mo>∪</mo><mi>O</mi><mo>|</mo></mrow>
        </mfrac>
        <mo>=</mo>
        <mfrac>
          <mn>{found}</mn>
          <mrow><mn>{found}</mn><mo>+</mo><mn>{wronglyRemoved}</mn><mo>+</mo><mn>{wronglyKept}</mn></mrow>
        </mfrac>
        <mo>=</mo><mn>{share(either > 0 ? found / either : 1)}</mn>
      </math>
      <p class="note">{say("points.formula")}</p>
    </>
  );
}
