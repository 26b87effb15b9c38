import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Network() {
  return <Panel id="network" title={say("network.title")} finding="" />;
}
