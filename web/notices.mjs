// The copyright lines of the libraries in a bundle, and the text of each licence once: both MIT and
// ISC ask that they stay with every copy.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

async function named(folder) {
  return JSON.parse(await readFile(join(folder, "package.json"), "utf8")).license;
}

async function licence(here, name) {
  const folder = join(here, "node_modules", name);
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
  if (!file) return { name, holder: "", grant: `Licence: ${await named(folder)}` };
  const text = await readFile(join(folder, file), "utf8");
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const holder = lines.find((line) => /^copyright/i.test(line)) ?? "";
  const grant = lines.slice(lines.indexOf(holder) + 1).join("\n").replace(/\s+/g, " ").trim();
  return { name, holder, grant };
}

export async function notices(here, names) {
  const found = await Promise.all(names.map((name) => licence(here, name)));
  const byGrant = new Map();
  for (const { name, holder, grant } of found) {
    byGrant.set(grant, [...(byGrant.get(grant) ?? []), holder ? `${name}: ${holder}` : name]);
  }
  const parts = [...byGrant].map(([grant, holders]) => [...holders, grant].join("\n"));
  return `/*! fedchain, MIT. This file has parts of others:\n${parts.join("\n\n")}\n*/`;
}
