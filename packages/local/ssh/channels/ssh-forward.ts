import type { Duplex } from "node:stream";
import type { ServerChannel, TcpipRequestInfo } from "ssh2";
import type { Destination, SshRuns } from "./ssh-runs.ts";

const hosts = new Map<string, Destination["host"]>([
  ["localhost", "127.0.0.1"],
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "::1"],
]);

export async function dialPort(
  runs: SshRuns,
  run: string,
  { destIP, destPort }: TcpipRequestInfo,
): Promise<Duplex | undefined> {
  const host = hosts.get(destIP);
  return host && runs.dial(run, { host, port: destPort }).catch(() => undefined);
}

/** Joins both directions, which end independently. */
export function joinChannel(stream: Duplex, channel: ServerChannel): void {
  channel.on("error", () => stream.destroy()).once("close", () => stream.destroy());
  stream.on("error", () => channel.end()).once("close", () => channel.end());
  stream.pipe(channel).pipe(stream);
}
