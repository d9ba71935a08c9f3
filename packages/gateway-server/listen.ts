import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";

/** Listens on all addresses and returns the port. Throws one sentence if the port is refused. */
export async function listen(
  server: Server,
  port: number,
  setting: "PORT" | "SSH_PORT" | "TUNNEL_PORT",
): Promise<number> {
  server.listen(port);
  await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
    const reason = reasons[error.code ?? ""] ?? `cannot be opened (${error.code ?? error.message})`;
    throw new Error(`Port ${port} ${reason}: set ${setting} to another port`, { cause: error });
  });
  return (server.address() as AddressInfo).port;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs rights that this process does not have",
};
