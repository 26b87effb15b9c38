import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Masks() {
  return <Panel id="masks" title={say("masks.title")} finding="" />;
}
