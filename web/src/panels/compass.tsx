import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Compass() {
  return <Panel id="compass" title={say("compass.title")} finding="" />;
}
