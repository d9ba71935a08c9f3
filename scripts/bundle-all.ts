import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundleFunctions } from "./bundling/bundle.ts";

/** Writes the deployment bundle of every function into dist/, and the source maps into dist-maps/. */
const formatPath = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const entries: readonly Entry[] = JSON.parse(readFileSync(formatPath("functions.json"), "utf8"));

interface Entry {
  readonly name: string;
  readonly file: string;
}

const [outdir, mapsdir] = [formatPath("dist"), formatPath("dist-maps")];
for (const directory of [outdir, mapsdir]) rmSync(directory, { recursive: true, force: true });
const bundles = await bundleFunctions(entries, { outdir, mapsdir });
const largest = Math.max(...bundles.map(({ bytes }) => bytes));
console.log(`${bundles.length} bundles in dist, the largest of ${Math.round(largest / 1000)} kB.`);
