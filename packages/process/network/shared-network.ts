import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { systemPath } from "../sandbox/environment.ts";
import { resolverSettings } from "./name-servers.ts";

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
