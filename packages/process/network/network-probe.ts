import { accessSync, constants } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Network } from "../runs/records.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { type Probe, probe, probeSync } from "../sandbox/probe.ts";
import { resolverSettings } from "./network.ts";

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
  return (await probe(subject, getProbe())) ? "own" : "shared";
}

function canOwnNetwork(): boolean {
  if (!mayOwnNetwork()) return false;
  return probeSync(subject, getProbe());
}

function mayOwnNetwork(): boolean {
  return process.platform === "linux" && resolverSettings() !== undefined;
}

function getProbe(): Probe {
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

const programs = { slirp4netns: "slirp4netns", ip: "iproute2", nsenter: "util-linux" } as const;

export function whyNetworkIsShared(path = systemPath, hasResolver = resolverSettings() !== undefined): string {
  const missing = Object.entries(programs).filter(([program]) => !isInstalled(program, path));
  if (missing.length > 0) return `missing here: ${missing.map(([, name]) => name).join(", ")}`;
  return hasResolver
    ? "the test of a separate network failed"
    : "no name server of this machine is reachable from a separate network";
}

function isInstalled(program: string, path: string): boolean {
  return path.split(":").some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
