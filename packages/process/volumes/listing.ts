import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { opendir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { listingBlob, MOST_LISTING_BYTES } from "#core/disks/backups/content.ts";
import { type ArchivePlaces, archiveFile } from "./archives.ts";

export async function keepListing(places: ArchivePlaces, snapshot: string, directory: string): Promise<void> {
  const listing = await listFiles(directory);
  const file = archiveFile(places, listingBlob(snapshot));
  const draft = join(places.blobs, `.listing-${snapshot}`);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(draft, listing, { mode: 0o600 });
  renameSync(draft, file);
}

export function forgetListing(places: ArchivePlaces, snapshot: string): void {
  rmSync(archiveFile(places, listingBlob(snapshot)), { force: true });
}

const CUT = "The rest is left out: at most 1 MiB is listed\n";
const MOST_NAMES_BYTES = MOST_LISTING_BYTES - Buffer.byteLength(CUT);

/**
 * Lists a tree like `ls -R`, without following links, up to the size limit. Unreadable subdirectories appear with the
 * reason. Throws if the directory itself cannot be read.
 */
export async function listFiles(directory: string): Promise<string> {
  const parts: string[] = [];
  let left = MOST_NAMES_BYTES;
  const add = (text: string) => {
    left -= Buffer.byteLength(text);
    if (left >= 0) parts.push(text);
  };
  const waiting = ["."];
  for (let path = waiting.pop(); path !== undefined && left >= 0; path = waiting.pop()) {
    const { entries, problem } = await getEntries(Buffer.concat([Buffer.from(`${directory}/`), getBytes(path)]), left);
    if (problem && path === ".") throw problem;
    add(`${parts.length > 0 ? "\n" : ""}${printed(path)}:\n`);
    for (const { name } of entries) if (left >= 0) add(`${printed(name)}\n`);
    if (problem) add(`(could not be read: ${problem.code ?? problem.name})\n`);
    const below = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => `${path}/${name}`);
    waiting.push(...below.reverse());
  }
  return left < 0 ? `${parts.join("")}${CUT}` : parts.join("");
}

interface Entry {
  /** One latin1 character per byte: names need not be UTF-8, and only the original bytes open them. */
  readonly name: string;
  readonly isDirectory: boolean;
}

/** Returns the sorted entries without hidden ones, like `ls`, and not more than fit into the list. */
async function getEntries(directory: Buffer, most: number): Promise<Entries> {
  const entries: Entry[] = [];
  let problem: NodeJS.ErrnoException | undefined;
  let bytes = 0;
  try {
    for await (const entry of await opendir(directory, { encoding: "latin1" })) {
      if (entry.name.startsWith(".")) continue;
      entries.push({ name: entry.name, isDirectory: entry.isDirectory() });
      bytes += entry.name.length + 1;
      if (bytes > most) break;
    }
  } catch (error) {
    problem = error as NodeJS.ErrnoException;
  }
  entries.sort((left, right) => (left.name < right.name ? -1 : 1));
  return { entries, problem };
}

interface Entries {
  readonly entries: readonly Entry[];
  /** Entries may be missing. */
  readonly problem: NodeJS.ErrnoException | undefined;
}

function getBytes(name: string): Buffer {
  return Buffer.from(name, "latin1");
}

/** Returns a printable name; bytes that are not UTF-8 become `?`. */
function printed(name: string): string {
  return printedName(getBytes(name).toString("utf8")).replaceAll("\uFFFD", "?");
}

/** Replaces characters that would move a terminal's cursor, break a line or reverse text with `?`. */
export function printedName(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "?");
}
