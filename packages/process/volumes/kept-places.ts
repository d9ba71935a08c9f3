import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "../files.ts";
import { syncNow } from "./durable.ts";

const places = ["volumes", "snapshots"] as const;
/** Equal contents in the home and its directories show that they belong together. */
const MARK = "mark";

/** Throws if a directory was replaced, for example by a missing mount: every disk would look deleted. */
export function keepPlaces(home: string): void {
  const ownMark = join(home, MARK);
  const word = existsSync(ownMark) ? readFileSync(ownMark, "utf8") : undefined;
  if (word !== undefined) {
    requirePlaces(home, word);
    return;
  }
  const made = randomName();
  for (const place of places) {
    const directory = join(home, place);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeMark(directory, made);
  }
  // Last, because from now on the directories must exist.
  writeMark(home, made);
}

export function requirePlaces(home: string, word = readFileSync(join(home, MARK), "utf8")): void {
  const lost = places.map((place) => join(home, place)).find((directory) => findMark(directory) !== word);
  if (lost === undefined) return;
  throw new Error(
    `${lost} is not the directory with this stack's disks: ${join(lost, MARK)} is missing or belongs to another stack.\n` +
      "Mount or restore the directory and start again. To give up its contents for good, run: " +
      `rm ${join(home, MARK)}\nJobs then report that their disks are gone.`,
  );
}

function findMark(directory: string): string | undefined {
  const file = join(directory, MARK);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function writeMark(directory: string, word: string): void {
  const file = join(directory, MARK);
  writeFileSync(file, word, { mode: 0o600 });
  syncNow(file);
  syncNow(directory);
}
