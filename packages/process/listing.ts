import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { opendir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { listingBlob, MOST_LISTING_BYTES } from "#core/disks/content.ts";
import { type ArchivePlaces, archiveFile } from "./archive-directory.ts";

/** Leaves the list of these files where Blobs finds it. */
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
 * Every file below a directory as `ls -R` prints it, a link as itself. Of a tree that is larger than the list no more is
 * read than the list holds.
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
    const entries = await entriesOf(join(directory, path), left);
    add(`${parts.length > 0 ? "\n" : ""}${printed(path)}:\n`);
    for (const { name } of entries) if (left >= 0) add(`${printed(name)}\n`);
    const below = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => `${path}/${name}`);
    waiting.push(...below.reverse());
  }
  return left < 0 ? `${parts.join("")}${CUT}` : parts.join("");
}

interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** In their order, hidden ones left out as `ls` does; no more than could be printed. */
async function entriesOf(directory: string, most: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  let bytes = 0;
  for await (const entry of await opendir(directory)) {
    if (entry.name.startsWith(".")) continue;
    entries.push({ name: entry.name, isDirectory: entry.isDirectory() });
    bytes += Buffer.byteLength(entry.name) + 1;
    if (bytes > most) break;
  }
  return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** A name may hold anything but a slash: what would move a terminal's cursor is shown as `?`. */
function printed(name: string): string {
  return name.replace(/\p{Cc}/gu, "?");
}
