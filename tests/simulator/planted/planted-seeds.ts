import { readFile, writeFile } from "node:fs/promises";
import { plantedBugs } from "./planted.ts";

/**
 * The seed that caught each planted mistake last, by the mistake's name. It is where the search begins and no more than
 * that: its schedule is run, and where it violates nothing any more, since calls have moved, the seeds from 1 on are.
 */
const file = new URL("planted-seeds.json", import.meta.url);

export async function readSeeds(): Promise<Map<string, number>> {
  return new Map(Object.entries(JSON.parse(await readFile(file, "utf8")) as Record<string, number>));
}

/** Keeps those of mistakes that are still planted. */
export async function writeSeeds(seeds: ReadonlyMap<string, number>): Promise<void> {
  const names = new Set(plantedBugs.map(({ name }) => name));
  const kept = [...seeds].filter(([name]) => names.has(name)).sort(([name], [two]) => (name < two ? -1 : 1));
  await writeFile(file, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
}
