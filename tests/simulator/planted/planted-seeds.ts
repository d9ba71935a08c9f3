import { readFile, writeFile } from "node:fs/promises";
import { plantedBugs } from "./planted.ts";

/**
 * The last seed that caught each mistake. The search begins there. If that schedule finds nothing any more, the seeds
 * from 1 follow.
 */
const file = new URL("planted-seeds.json", import.meta.url);

export async function readSeeds(): Promise<Map<string, number>> {
  return new Map(Object.entries(JSON.parse(await readFile(file, "utf8")) as Record<string, number>));
}

/** Stores the seeds of mistakes that still exist. */
export async function writeSeeds(seeds: ReadonlyMap<string, number>): Promise<void> {
  const names = new Set(plantedBugs.map(({ name }) => name));
  const kept = [...seeds].filter(([name]) => names.has(name)).sort(([name], [two]) => (name < two ? -1 : 1));
  await writeFile(file, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
}
