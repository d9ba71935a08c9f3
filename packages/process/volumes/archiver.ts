import { mkdirSync, renameSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname } from "node:path";
import { sync } from "./durable.ts";
import { zipDirectory } from "./zip.ts";

/**
 * The program that makes one archive: `archiver.ts <directory> <draft> <file>`. The zip is under its name from the
 * moment at which it is whole. Prints how much of the directory is left out.
 */
async function main(): Promise<void> {
  const [, , directory = "", draft = "", file = ""] = process.argv;
  setPriority(10);
  const { skipped } = await zipDirectory(directory, draft);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  await sync(draft);
  renameSync(draft, file);
  // The volume may be removed once the archive is there, so by then it has to survive a power cut.
  await sync(dirname(file), dirname(dirname(file)));
  // Whoever asked may be gone, which changes nothing.
  process.stdout.on("error", () => undefined);
  process.stdout.write(String(skipped));
}

await main();
