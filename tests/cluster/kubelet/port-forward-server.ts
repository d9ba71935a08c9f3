import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { acceptChannels, type Channels } from "./channels.ts";
import type { PodRun } from "./pod-run.ts";

/**
 * Serves port-forward by WebSocket v4, which the API server passes through. Each port has a channel for data and one
 * for errors, which both begin with the port as two bytes.
 */
export function acceptPortForward(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  query: URLSearchParams,
  run: PodRun,
): void {
  const ports = query.getAll("port").flatMap((value) => value.split(",").map(Number));
  acceptChannels(request, socket, head, (channels) => {
    let open = ports.length;
    const closed = () => {
      open -= 1;
      if (open === 0) channels.close();
    };
    const forwarded = ports.map((port, at) => forward(run, port, 2 * at, channels, closed));
    return {
      data: (channel, bytes) => void (channel % 2 === 0 && forwarded[channel / 2]?.write(bytes)),
      gone: () => {
        for (const connection of forwarded) connection.destroy();
      },
    };
  });
}

function forward(run: PodRun, port: number, channel: number, channels: Channels, closed: () => void) {
  const said = Buffer.alloc(2);
  said.writeUInt16LE(port);
  channels.send(channel, said);
  channels.send(channel + 1, said);
  const connection = connect({ host: "127.0.0.1", port: portHere(run, port) });
  connection.on("data", (data) => channels.send(channel, data));
  connection.on("error", ({ message }) => {
    const name = `${run.pod.metadata.namespace}/${run.pod.metadata.name}`;
    channels.send(channel + 1, Buffer.from(`error forwarding port ${port} to pod ${name}: ${message}`));
  });
  connection.on("close", closed);
  return connection;
}

/** Returns the port of this machine for a port of a pod, since pods share the machine's ports. */
function portHere({ containers }: PodRun, port: number): number {
  for (const { script } of containers) {
    const here = script.ports?.[port];
    if (here !== undefined) return here;
  }
  return port;
}
