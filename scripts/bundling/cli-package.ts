import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { assetSources } from "#http/asset.ts";
import { cliTarball } from "../../packages/cli/tarball.ts";

/** Writes the packed command line where functions read it, by an atomic rename. */
export async function keepCliPackage(): Promise<void> {
  const path = fileURLToPath(assetSources["berth.tgz"]());
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, await cliTarball());
  renameSync(draft, path);
}
