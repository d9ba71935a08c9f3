import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => (offered.has("v4.channel.k8s.io") ? "v4.channel.k8s.io" : false),
});

/** Messages whose first byte is a channel, as in a WebSocket that the API server passes through to a kubelet. */
export interface Channels {
  send(channel: number, data: Buffer): void;
  close(): void;
}

export function acceptChannels(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  open: (channels: Channels) => { data(channel: number, bytes: Buffer): void; gone(): void },
): void {
  // A real API server passes the kubelet's answer on together with the frames that follow it.
  socket.cork();
  server.handleUpgrade(request, socket, head, (client: WebSocket) => {
    const listener = open({
      send: (channel, data) => client.send(Buffer.concat([Buffer.from([channel]), data])),
      close: () => client.close(1000),
    });
    client.on("message", (message: Buffer) => listener.data(message.readUInt8(0), message.subarray(1)));
    client.on("close", () => listener.gone());
  });
  socket.uncork();
}
