// The page: header, finding, panels in their places, timeline.
import { useEffect } from "preact/hooks";
import { Finding } from "./finding";
import { Header } from "./header";
import { Help } from "./help";
import { Compass } from "./panels/compass";
import { Learning } from "./panels/learning";
import { Ledger } from "./panels/ledger";
import { Masks } from "./panels/masks";
import { Network } from "./panels/network";
import { Points } from "./panels/points";
import { Privacy } from "./panels/privacy";
import { Spoken } from "./spoken";
import { clouds, masks, panel, presenter, run, theme } from "./state";
import { learns } from "./summary";
import { Timeline } from "./timeline";

export function Page() {
  useEffect(() => {
    const root = document.documentElement;
    root.toggleAttribute("data-presenter", presenter.value);
    if (theme.value) root.dataset["theme"] = theme.value;
    else delete root.dataset["theme"];
  }, [presenter.value, theme.value]);
  return (
    <>
      <Header />
      <main>
        <Finding />
        {run.value && <Panels />}
      </main>
      {run.value && <Timeline />}
      <Help />
      <Spoken />
    </>
  );
}

/** Whether the run's task has scans, of which the page can show masks. */
function hasScans(): boolean {
  return masks.value.size > 0 || run.value!.task.startsWith("scan");
}

function Panels() {
  if (!learns(run.value!)) {
    return (
      <div class="panels" data-third="chain" data-big={panel.value ?? undefined}>
        <Network />
        <Ledger />
      </div>
    );
  }
  const third = hasScans() ? "masks" : "none";
  return (
    <div class="panels" data-third={third} data-big={panel.value ?? undefined}>
      <Network />
      <Compass />
      <Learning />
      <Privacy />
      {third === "masks" && <Masks />}
      {clouds.value.size > 0 && <Points />}
      <Ledger />
    </div>
  );
}
