import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";

/** Listens on the loopback and returns the port. Says why a port is refused, with this advice. */
export async function listen(server: Server, port: number, advice: string): Promise<number> {
  try {
    return await listenAt(server, port);
  } catch (error) {
    const reason = reasons[(error as NodeJS.ErrnoException).code ?? ""];
    throw reason === undefined ? error : new Error(`Port ${port} ${reason}.\n${advice}.`, { cause: error });
  }
}

/** Does the same, and throws the error of the system. */
export async function listenAt(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs rights that you do not have",
};
