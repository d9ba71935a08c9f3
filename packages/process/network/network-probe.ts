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

/** Reports, from one test, whether sandboxes can have their own network. Throws `TooSlow` on a timeout. */
export function findNetwork(): Network {
  found ??= canOwnNetwork() ? "own" : "shared";
  return found;
}

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

/** Children do not inherit the compile cache, and compiling again takes half of the probe's time. */
function ownCompileCache(): string | undefined {
  const directory = getCompileCacheDir();
  // Node adds a directory of its version below the configured one.
  return directory && dirname(directory);
}
