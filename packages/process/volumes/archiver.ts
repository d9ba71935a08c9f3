import { mkdirSync, renameSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname } from "node:path";
import { sync } from "./durable.ts";
import { zipDirectory } from "./zip.ts";

/** Program that creates one archive: `archiver.ts <directory> <draft> <file>`. Prints the number of skipped entries. */
async function main(): Promise<void> {
  const [, , directory = "", draft = "", file = ""] = process.argv;
  setPriority(10);
  const { skipped } = await zipDirectory(directory, draft);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  await sync(draft);
  renameSync(draft, file);
  // The volume may be removed once the archive exists, so the archive must survive a power cut first.
  await sync(dirname(file), dirname(dirname(file)));
  // The parent may be gone.
  process.stdout.on("error", () => undefined);
  process.stdout.write(String(skipped));
}

await main();
