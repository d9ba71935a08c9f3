import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { frame } from "./frames.ts";
import { multiplexer } from "./multiplexer.ts";

/**
 * Program that connects the sockets of a run with a client outside. `dial <path>` connects; `tcp <port>`, `unix <path>`
 * and `agent` listen. It has the rights of the run, and ends with its standard input.
 */
function main([kind = "", where = ""]: readonly string[]): void {
  const { take, open } = multiplexer({ send: (bytes) => void process.stdout.write(bytes) });
  const pass = (socket: Socket): void => {
    const stream = open();
    if (!stream) return void socket.destroy();
    // Each direction ends separately, as in TCP.
    const end = (error: unknown) => {
      if (error) for (const side of [socket, stream]) side.destroy();
    };
    pipeline(socket, stream, end);
    pipeline(stream, socket, end);
  };
  if (kind === "dial") dial(where, pass);
  else listen(getPlace(kind, where), pass);
  process.stdin.on("data", (part: Buffer) => void take(part)).once("end", () => process.exit(0));
  process.stdout.on("error", () => process.exit(1));
  // `process.exit` runs the handlers that remove sockets and directories.
  for (const signal of ["SIGHUP", "SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(1));
}

type RelayTarget = { readonly path: string } | { readonly host: string; readonly port: number };

function getPlace(kind: string, where: string): RelayTarget {
  if (kind === "tcp") return { host: "127.0.0.1", port: Number(where) };
  if (kind === "unix") return { path: where };
  const directory = mkdtempSync("/tmp/ssh-");
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return { path: join(directory, "agent") };
}

function dial(path: string, pass: (socket: Socket) => void): void {
  const socket = connect({ path, allowHalfOpen: true });
  const fail = () => process.exit(1);
  socket.once("error", fail).once("connect", () => {
    socket.off("error", fail);
    hello("");
    pass(socket);
  });
}

function listen(place: RelayTarget, pass: (socket: Socket) => void): void {
  // Only the run's user may use a socket, as with OpenSSH's StreamLocalBindMask.
  process.umask(0o177);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, pass);
  server.once("error", () => process.exit(1));
  server.listen(place, () => {
    // Closing the server unlinks its path.
    process.once("exit", () => server.close());
    const address = server.address();
    hello(typeof address === "string" ? address : String(address?.port));
  });
}

function hello(address: string): void {
  process.stdout.write(frame("hello", 0, Buffer.from(address)));
}

main(process.argv.slice(2));
