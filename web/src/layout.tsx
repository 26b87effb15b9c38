// The page: header, finding, panels in their places, timeline.
import { Compass } from "./panels/compass";
import { Learning } from "./panels/learning";
import { Ledger } from "./panels/ledger";
import { Masks } from "./panels/masks";
import { Network } from "./panels/network";
import { Points } from "./panels/points";
import { Privacy } from "./panels/privacy";
import { clouds, run } from "./state";

export function Page() {
  return (
    <>
      <p class="finding">{run.value?.finding}</p>
      <main class="panels">
        <Network />
        <Compass />
        <Learning />
        <Privacy />
        <Masks />
        {clouds.value.size > 0 && <Points />}
        <Ledger />
      </main>
    </>
  );
}
