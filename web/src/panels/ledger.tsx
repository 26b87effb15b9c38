import { Panel } from "../parts/Panel";
import { say } from "../words";

export function Ledger() {
  return <Panel id="ledger" title={say("ledger.title")} finding="" />;
}
