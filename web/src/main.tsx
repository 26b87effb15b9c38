// Starts the page: reads the records in this file or from the server, and draws.
import { render } from "preact";
import { keepAddress } from "./address";
import { startFeed } from "./feed";
import { listenToKeys } from "./keys";
import { Page } from "./layout";
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

void start();
