import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A path to a server on this machine, which a test can block. */
export interface NetworkPath {
  readonly port: number;
  /** Closes new connections at once. Open ones go on. */
  refuse(): void;
  /** Takes new connections, and carries no byte of any connection until `open`. */
  silence(): void;
  open(): void;
  /** Cuts open connections. */
  cut(): void;
  close(): void;
}

type State = "open" | "refusing" | "silent";

export async function openNetworkPath(to: number): Promise<NetworkPath> {
  const sockets = new Set<Socket>();
  let state: State = "open";
  const carry = (from: Socket, other: Socket) => {
    sockets.add(from.on("error", () => undefined).on("data", (bytes) => other.write(bytes)));
    from.once("end", () => other.end());
    from.once("close", () => {
      sockets.delete(from);
      other.destroy();
    });
    if (state === "silent") from.pause();
  };
  const server = createServer({ allowHalfOpen: true }, (outside) => {
    if (state === "refusing") return void outside.destroy();
    const inside = connect({ port: to, host: "127.0.0.1", allowHalfOpen: true });
    carry(outside, inside);
    carry(inside, outside);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    refuse: () => {
      state = "refusing";
    },
    silence: () => {
      state = "silent";
      for (const socket of sockets) socket.pause();
    },
    open: () => {
      state = "open";
      for (const socket of sockets) socket.resume();
    },
    cut,
    close: () => {
      server.close();
      cut();
    },
  };
}
