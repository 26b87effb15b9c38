import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Points() {
  return <Panel id="points" title={say("points.title")} finding="" />;
}
