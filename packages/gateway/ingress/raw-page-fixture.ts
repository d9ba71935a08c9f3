import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";

export interface RawRequest {
  /** Number of the connection, from 0. */
  readonly connection: number;
  readonly method: string;
  readonly path: string;
}

/** A page that answers with raw bytes, and the streams that a gateway opened to it. */
export interface RawPage {
  readonly requests: RawRequest[];
  readonly streams: Duplex[];
  /** Replaces how requests are answered. */
  answerWith(answer: (request: RawRequest, socket: Socket) => void): void;
  /** Connects as the API server's port-forward does: by a stream without an address or a timeout. */
  connect(): Duplex;
  close(): void;
}

export async function openRawPage(): Promise<RawPage> {
  const requests: RawRequest[] = [];
  const [streams, sockets]: [Duplex[], Socket[]] = [[], []];
  let answer = (_: RawRequest, socket: Socket): void => void socket.write(plainAnswer("the page"));
  const server = createServer((socket) => {
    const connection = sockets.push(socket) - 1;
    socket.on("error", () => undefined).setEncoding("latin1");
    socket.on("data", (text: string) => {
      // The requests of these tests fit into one packet.
      const [method = "", path = ""] = text.split(" ");
      const request = { connection, method, path };
      requests.push(request);
      answer(request, socket);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    requests,
    streams,
    answerWith: (next) => {
      answer = next;
    },
    connect: () => {
      const socket = connect(port, "127.0.0.1");
      const stream = Duplex.from({ readable: socket, writable: socket }).setMaxListeners(20);
      stream.once("close", () => socket.destroy());
      streams.push(stream);
      return stream;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export function plainAnswer(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export function untilClosed(stream: Duplex | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (!stream || stream.closed) resolve();
    else stream.once("close", resolve);
  });
}
