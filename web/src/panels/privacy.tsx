import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Privacy() {
  return <Panel id="privacy" title={say("privacy.title")} finding="" />;
}
