// Starts the page: reads the records in this file, and draws.
import { render } from "preact";
import { recordScripts, takeScript } from "./feed";
import { Page } from "./layout";
import { lastRound, round, story } from "./state";

async function start(): Promise<void> {
  const [first] = recordScripts().values();
  if (first) await takeScript(story, first);
  round.value = lastRound.value;
  render(<Page />, document.getElementById("page")!);
}

void start();
