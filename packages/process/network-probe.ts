import { execFile, spawnSync } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { systemPath } from "./environment.ts";
import { resolverSettings } from "./name-servers.ts";
import type { Network } from "./records.ts";

const attempt = fileURLToPath(new URL("./network-attempt.ts", import.meta.url));

let found: Network | undefined;

/** Whether sandboxes of this machine can have a network of their own, which is tried once. */
export function findNetwork(): Network {
  found ??= canOwnNetwork() ? "own" : "shared";
  return found;
}

/** The same in the background. */
export async function tryNetwork(): Promise<Network> {
  if (!mayOwnNetwork()) return "shared";
  const [program, words, options] = attempted();
  return promisify(execFile)(program, words, options).then(
    () => "own",
    () => "shared",
  );
}

function canOwnNetwork(): boolean {
  if (!mayOwnNetwork()) return false;
  const [program, words, options] = attempted();
  return spawnSync(program, words, { ...options, stdio: "ignore" }).status === 0;
}

function mayOwnNetwork(): boolean {
  return process.platform === "linux" && resolverSettings() !== undefined;
}

function attempted(): [program: string, words: string[], options: { env: NodeJS.ProcessEnv; timeout: number }] {
  const cache = process.env.NODE_COMPILE_CACHE ?? ownCompileCache();
  const env = { PATH: systemPath, ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) };
  return [process.execPath, [attempt], { env, timeout: 20_000 }];
}

/** Of this process, which children do not have by themselves: to compile it all again is half of what they cost. */
function ownCompileCache(): string | undefined {
  const directory = getCompileCacheDir();
  // Inside what is set there is one for this very Node.
  return directory && dirname(directory);
}
