import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
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

function canOwnNetwork(): boolean {
  if (process.platform !== "linux" || resolverSettings() === undefined) return false;
  const { NODE_COMPILE_CACHE } = process.env;
  const env = { PATH: systemPath, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
  const { status } = spawnSync(process.execPath, [attempt], { env, stdio: "ignore", timeout: 20_000 });
  return status === 0;
}
