// When the slowest trip of a round ended, as native MathML.
import { three } from "../../format";
import type { TripRecord } from "../../records";
import { say } from "../../words";
import { duration } from "./flight";

export function Formula({ trip }: { trip: TripRecord }) {
  const seconds = (value: number) => <mn>{value.toFixed(3).replace(/^0/, "")}</mn>;
  const end = trip.left_s + duration(trip);
  return (
    <>
      <math display="block">
        <msub><mi>t</mi><mtext>{say("network.arrived")}</mtext></msub><mo>=</mo>
        <msub><mi>t</mi><mtext>{say("network.left_short")}</mtext></msub><mo>+</mo>
        <munder><mi>min</mi><mtext>{say("network.ways")}</mtext></munder>
        <munder><mo>∑</mo><mtext>{say("network.steps")}</mtext></munder>
        <mi>τ</mi><mo>=</mo>{seconds(trip.left_s)}<mo>+</mo><mn>{three(duration(trip))}</mn><mo>=</mo>{seconds(end)}
      </math>
      <p class="note">{say("network.formula", { what: say(`network.${trip.what}`), id: trip.id.slice(0, 8), sender: trip.sender })}</p>
    </>
  );
}
