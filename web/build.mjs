// Builds the page: `node build.mjs` writes fedchain/page/static, `node build.mjs --tests` the node
// tests, and `--out FOLDER` builds somewhere else, so that a test can compare bytes.
import { build } from "esbuild";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { notices } from "./notices.mjs";

const here = dirname(fileURLToPath(import.meta.url));

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  loader: { ".woff2": "dataurl" },
};

const LIBRARIES = ["preact", "@preact/signals", "d3-array", "@noble/hashes"];

async function buildPage(out) {
  await build({
    ...common,
    banner: { js: await notices(here, LIBRARIES) },
    entryPoints: ["src/main.tsx"],
    outfile: join(out, "page.js"),
  });
  await build({
    ...common,
    banner: { js: await notices(here, ["preact", "@preact/signals", "@noble/hashes"]) },
    entryPoints: ["src/lessons/main.tsx"],
    outfile: join(out, "lessons.js"),
  });
  await build({
    ...common,
    banner: { js: await notices(here, ["ogl"]) },
    entryPoints: ["src/panels/points/chunk.ts"],
    globalName: "fedchainPoints",
    outfile: join(out, "points.js"),
  });
  const font = "/*! Inter: Copyright 2016 The Inter Project Authors, SIL Open Font License 1.1 */";
  await build({
    ...common,
    banner: { css: font },
    entryPoints: ["css/page.css"],
    outfile: join(out, "page.css"),
  });
}

async function buildTests() {
  const out = join(here, ".tests");
  await rm(out, { recursive: true, force: true });
  await mkdir(out);
  await writeFile(join(out, "package.json"), '{"type":"module"}');
  const names = (await readdir(join(here, "test"))).filter((name) => /\.test\.tsx?$/.test(name));
  await build({
    ...common,
    minify: false,
    format: "esm",
    platform: "node",
    entryPoints: names.map((name) => join("test", name)),
    outdir: out,
  });
}

const at = process.argv.indexOf("--out");
if (process.argv.includes("--tests")) await buildTests();
else await buildPage(at > 0 ? resolve(process.argv[at + 1]) : join(here, "..", "fedchain", "page", "static"));
