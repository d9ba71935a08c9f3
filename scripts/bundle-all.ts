import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleFunctions } from "./bundling/bundle.ts";
import { bundleConsole } from "./bundling/console.ts";

/**
 * Writes the deployment bundle of every function into dist/, the source maps into dist-maps/, and the web console into
 * dist/console.
 */
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

const files = await bundleConsole();
mkdirSync(join(outdir, "console/assets"), { recursive: true });
for (const { path, contents } of files) writeFileSync(join(outdir, "console", path), contents);
console.log(`${files.length} files of the web console in dist/console.`);
