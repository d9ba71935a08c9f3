import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Network } from "../runs/records.ts";
import { systemPath } from "../sandbox/environment.ts";
import { type Attempted, tryHere, worksHere } from "../sandbox/works-here.ts";
import { resolverSettings } from "./name-servers.ts";

const attempt = fileURLToPath(new URL("./network-attempt.ts", import.meta.url));

const subject = "A network for sandboxes";

let found: Network | undefined;

/**
 * Whether sandboxes of this machine can have a network of their own, tried once. Throws `TooSlow` where it cannot be
 * told.
 */
export function findNetwork(): Network {
  found ??= canOwnNetwork() ? "own" : "shared";
  return found;
}

/** The same in the background. */
export async function tryNetwork(): Promise<Network> {
  if (!mayOwnNetwork()) return "shared";
  return (await tryHere(subject, attempted())) ? "own" : "shared";
}

function canOwnNetwork(): boolean {
  if (!mayOwnNetwork()) return false;
  return worksHere(subject, attempted());
}

function mayOwnNetwork(): boolean {
  return process.platform === "linux" && resolverSettings() !== undefined;
}

function attempted(): Attempted {
  const cache = process.env.NODE_COMPILE_CACHE ?? ownCompileCache();
  const env = { PATH: systemPath, ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) };
  return { program: process.execPath, words: [attempt], env };
}

/** Of this process, which children do not have by themselves: to compile it all again is half of what they cost. */
function ownCompileCache(): string | undefined {
  const directory = getCompileCacheDir();
  // Inside what is set there is one for this very Node.
  return directory && dirname(directory);
}
