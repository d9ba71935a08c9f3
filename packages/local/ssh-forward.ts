import { createConnection } from "node:net";
import type { AcceptConnection, ServerChannel, TcpipRequestInfo } from "ssh2";

const loopback = new Set(["localhost", "127.0.0.1", "::1"]);

/** Connects a client to a port of the environment's own loopback, which here is the machine's, and to nowhere else. */
export function forward(
  accept: AcceptConnection<ServerChannel>,
  reject: () => void,
  { destIP, destPort }: TcpipRequestInfo,
): void {
  if (!loopback.has(destIP)) {
    reject();
    return;
  }
  const socket = createConnection({ host: destIP === "::1" ? "::1" : "127.0.0.1", port: destPort });
  socket.once("error", () => reject());
  socket.once("connect", () => {
    socket.removeAllListeners("error");
    const channel = accept();
    channel.on("error", () => socket.destroy()).once("close", () => socket.destroy());
    socket.on("error", () => channel.end()).once("close", () => channel.end());
    socket.pipe(channel).pipe(socket);
  });
}
