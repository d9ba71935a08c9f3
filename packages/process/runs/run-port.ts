import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { connected, type Destination, portsSocket } from "../network/forwards.ts";
import { dialSocket } from "../supervisor/control-socket.ts";
import { readRun } from "./records.ts";

/** Connects to the run's loopback, which is the machine's without its own network. Throws if no program listens. */
export async function connectToRun(home: string, name: string, destination: Destination): Promise<Socket> {
  const directory = join(home, "runs", name);
  const isInside = readRun(directory)?.network === "own";
  const socket = isInside ? dialSocket(directory, portsSocket) : createConnection({ ...destination, noDelay: true });
  await once(socket, "connect");
  if (!isInside) return socket;
  socket.write(`${JSON.stringify(destination)}\n`);
  if (await isConnected(socket)) return socket;
  socket.destroy();
  throw new Error("No program listens there");
}

/** Reads the first byte and leaves the rest in the stream. */
async function isConnected(socket: Socket): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const poll = () => resolve(socket.read(1)?.toString() === connected);
  const end = () => resolve(false);
  socket.once("readable", poll).once("close", end).once("end", end).on("error", end);
  const answer = await promise;
  socket.off("readable", poll).off("close", end).off("end", end).off("error", end);
  return answer;
}
