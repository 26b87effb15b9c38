// Starts the page: reads the records in this file or from the server, and draws. In a worker, which
// has the same text, starts the verifier.
import { render } from "preact";
import { keepAddress } from "./address";
import { answerPage } from "./chain/worker";
import { startFeed } from "./feed";
import { listenToKeys } from "./keys";
import { Page } from "./layout";
import { inWorker } from "./own";
import { openForPrint } from "./print";

async function start(): Promise<void> {
  const place = document.getElementById("page")!;
  await startFeed();
  keepAddress();
  listenToKeys();
  openForPrint();
  place.replaceChildren();
  render(<Page />, place);
}

if (inWorker) answerPage();
else void start();
