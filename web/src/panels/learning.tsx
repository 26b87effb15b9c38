import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Learning() {
  return <Panel id="learning" title={say("learning.title")} finding="" />;
}
