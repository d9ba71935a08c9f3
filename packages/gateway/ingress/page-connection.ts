import { Agent } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A page of a run: the port inside, and its address on this machine, if it has one. */
export interface PagePlace {
  readonly run: string;
  readonly port: number;
  readonly address: string | null;
  /** An open tab of Jupyter asks every few seconds. Whether it is used, its kernels and terminals tell. */
  readonly isJupyter?: true;
}

/** Connects to a page. Rejects if its run cannot be reached. */
export type ConnectPage = (place: PagePlace) => Duplex | Promise<Duplex>;

/** Connects to the address on this machine, which an embedded stack gives to each page. */
export const connectLocally: ConnectPage = ({ address }) => {
  const [, port] = /^127\.0\.0\.1:(\d+)$/.exec(address ?? "") ?? [];
  if (port === undefined) throw new Error("The page has no address on this machine");
  return connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
};

export type OpenPage = () => Duplex | Promise<Duplex>;

export type OnStream = (error: Error | null, stream: Duplex) => void;

/** Uses one connection, because ports are reused by other runs. An aborted one fails with the signal's reason. */
export class PageAgent extends Agent {
  readonly #open: OpenPage;
  readonly #signal: AbortSignal;

  constructor(open: OpenPage, signal: AbortSignal) {
    super({ keepAlive: false });
    this.#open = open;
    this.#signal = signal;
  }

  override createConnection(_: unknown, callback: OnStream): undefined {
    openStream(this.#open, this.#signal, callback);
  }
}

export function openStream(open: OpenPage, signal: AbortSignal, callback: OnStream): void {
  const fail = (error: Error) => callback(error, undefined as never);
  // A request without a connection cannot fail by itself, however long it waits for one.
  const abort = () => fail(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  const begin = async () => open();
  begin().then(
    (stream) => {
      signal.removeEventListener("abort", abort);
      // After its request a stream has no other listener, and an error then would end the process.
      stream.on("error", () => undefined);
      if (signal.aborted) stream.destroy();
      else callback(null, withSocketMethods(stream));
    },
    (error: Error) => {
      signal.removeEventListener("abort", abort);
      if (!signal.aborted) fail(error);
    },
  );
}

/** Gives a stream the `setTimeout` and `ref` of a socket, which an HTTP client and its agent need. */
function withSocketMethods(stream: Duplex): Duplex {
  if ("setTimeout" in stream) return stream;
  const { write } = stream;
  let timer: NodeJS.Timeout | undefined;
  stream.once("close", () => clearTimeout(timer));
  const setIdleTimeout: Socket["setTimeout"] = function (this: Socket, ms, callback) {
    clearTimeout(timer);
    if (ms > 0 && !stream.destroyed) {
      if (!timer) stream.on("data", () => timer?.refresh());
      timer = setTimeout(() => stream.emit("timeout"), ms);
    }
    if (callback) stream.once("timeout", callback);
    return this;
  };
  return Object.assign(stream, {
    setTimeout: setIdleTimeout,
    ref: () => stream,
    write: (...input: Parameters<typeof write>) => {
      timer?.refresh();
      return write.apply(stream, input);
    },
  });
}
