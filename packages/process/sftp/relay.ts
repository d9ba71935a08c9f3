import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { frame } from "./frames.ts";
import { multiplexer } from "./multiplexer.ts";

/**
 * The program that reaches the sockets of a run for somebody outside it: it is a process of the run, and may do what
 * any other one there may. `dial <path>` connects to a socket; `tcp <port>`, `unix <path>` and `agent` listen, and each
 * visitor is a stream. It ends with its standard input.
 */
function main([kind = "", where = ""]: readonly string[]): void {
  const { take, open } = multiplexer({ send: (bytes) => void process.stdout.write(bytes) });
  const pass = (socket: Socket): void => {
    const stream = open();
    if (!stream) return void socket.destroy();
    // Each direction ends by itself, as in a TCP connection.
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
  // It leaves nothing behind, however it is ended.
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
  // A socket is for the user of the run alone, as OpenSSH's StreamLocalBindMask makes it.
  process.umask(0o177);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, pass);
  server.once("error", () => process.exit(1));
  server.listen(place, () => {
    // Its path goes with it.
    process.once("exit", () => server.close());
    const address = server.address();
    hello(typeof address === "string" ? address : String(address?.port));
  });
}

function hello(address: string): void {
  process.stdout.write(frame("hello", 0, Buffer.from(address)));
}

main(process.argv.slice(2));
