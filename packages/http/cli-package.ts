import { createHash } from "node:crypto";
import { readAssetBytes } from "./asset.ts";
import { version } from "./version.ts";

export interface CliPackage {
  readonly version: string;
  readonly sha256: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

let found: CliPackage | undefined;

/** Reads the tarball that `npm run bundle` and `npm start` make. Returns undefined if neither has made it. */
export function findCliPackage(): CliPackage | undefined {
  if (found) return found;
  const bytes = readAssetBytes("berth.tgz");
  found = bytes && { version, bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
  return found;
}
