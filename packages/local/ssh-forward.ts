import type { Duplex } from "node:stream";
import type { AcceptConnection, ServerChannel, TcpipRequestInfo } from "ssh2";
import type { Destination, SshRuns } from "./ssh-runs.ts";

const hosts = new Map<string, Destination["host"]>([
  ["localhost", "127.0.0.1"],
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "::1"],
]);

/** Connects a client to a port of the environment's own loopback, and to nowhere else. */
export async function forward(
  runs: SshRuns,
  run: string,
  accept: AcceptConnection<ServerChannel>,
  reject: () => void,
  { destIP, destPort }: TcpipRequestInfo,
): Promise<void> {
  const host = hosts.get(destIP);
  const socket = host && (await runs.dial(run, { host, port: destPort }).catch(() => undefined));
  if (!socket) return reject();
  joinChannel(socket, accept());
}

/** Each direction ends by itself. */
export function joinChannel(stream: Duplex, channel: ServerChannel): void {
  channel.on("error", () => stream.destroy()).once("close", () => stream.destroy());
  stream.on("error", () => channel.end()).once("close", () => channel.end());
  stream.pipe(channel).pipe(stream);
}
