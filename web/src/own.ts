// The text of this script. A page from file:// can load no second script, so that a worker is made of
// the page's own text: it has the verifier already, and the file carries it once.
export const inWorker = typeof document === "undefined";
export const ownText = inWorker ? "" : (document.currentScript?.textContent ?? "");
