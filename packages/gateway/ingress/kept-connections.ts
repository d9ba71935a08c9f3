import { Agent, type ClientRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type OnStream, type OpenPage, openStream } from "./page-connection.ts";

export interface KeptLimits {
  readonly idleMs: number;
  readonly mostOfRun?: number;
  readonly mostInAll?: number;
}

/** Limits of idle connections, which cost the API server and the kubelet memory. */
const [MOST_OF_RUN, MOST_IN_ALL] = [16, 256];

/** The page of one client. Connections are never shared between two of them. */
export interface KeptPlace {
  readonly run: string;
  readonly port: number;
  /** A user, or a client's connection. So bytes that a page sends too late never reach another client. */
  readonly client: string;
}

interface Connection {
  readonly run: string;
  request?: ClientRequest;
  answer?: IncomingMessage | undefined;
  hasAnswered?: boolean;
  idle?: NodeJS.Timeout;
}

/** Keeps connections for the next request of the same client to the same page of a run. */
export class KeptConnections extends Agent {
  readonly #limits: KeptLimits;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #idle = new Map<Duplex, Connection>();
  readonly #clients = new WeakMap<object, string>();
  #visitors = 0;
  #isStopped = false;

  constructor(limits: KeptLimits) {
    super({ keepAlive: true });
    this.#limits = limits;
  }

  /** Names a client without a key by its connection. */
  clientAt(connection: object): string {
    const name = this.#clients.get(connection) ?? `visitor ${++this.#visitors}`;
    this.#clients.set(connection, name);
    return name;
  }

  /** Call it once a request has got its connection. */
  assign(request: ClientRequest, stream: Duplex): void {
    const connection = this.#connections.get(stream);
    if (!connection) return;
    connection.request = request;
    connection.answer = undefined;
    connection.hasAnswered = false;
    request.once("response", (answer: IncomingMessage) => {
      connection.answer = answer;
    });
  }

  /** Reports whether the request met a connection that its page had closed, so it may be sent again. */
  isUnanswered(request: ClientRequest): boolean {
    const connection = request.socket ? this.#connections.get(request.socket) : undefined;
    return request.reusedSocket && !connection?.hasAnswered;
  }

  /** Closes idle connections, and keeps no more. */
  stop(): void {
    this.#isStopped = true;
    for (const stream of this.#idle.keys()) stream.destroy();
  }

  override getName(options: object = {}): string {
    const { run, port, client } = (options as KeptOptions).place;
    return `${run} ${port} ${client}`;
  }

  override createConnection(options: object, callback: OnStream): undefined {
    const { place, open, waiting } = options as KeptOptions;
    openStream(open, waiting, (error, stream) => {
      if (!error) this.#observe(stream, { run: place.run });
      callback(error, stream);
      if (error) this.#forget(this.getName(options));
    });
  }

  /**
   * Node keeps the empty list of a connection that was never made. Each visitor has another name, so these lists would
   * fill the memory.
   */
  #forget(name: string): void {
    if (this.sockets[name]?.length === 0) delete (this.sockets as Record<string, unknown>)[name];
  }

  override keepSocketAlive(stream: Duplex): boolean {
    const connection = this.#connections.get(stream);
    if (!connection || this.#isStopped || !isFramed(connection) || this.#isFull(connection.run)) return false;
    if ("setTimeout" in stream && typeof stream.setTimeout === "function") stream.setTimeout(0);
    connection.idle = setTimeout(() => stream.destroy(), this.#limits.idleMs).unref();
    this.#idle.set(stream, connection);
    return true;
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    super.reuseSocket(stream, request);
    this.#unmark(stream);
  }

  /** Closes the stream at its end, or at a byte that is no part of an answer. */
  #observe(stream: Duplex, connection: Connection): void {
    this.#connections.set(stream, connection);
    const closeIfIdle = () => {
      if (!connection.request || connection.answer?.complete) stream.destroy();
    };
    stream.on("data", closeIfIdle).on("end", closeIfIdle);
    stream.on("data", () => {
      connection.hasAnswered = true;
    });
    stream.once("close", () => this.#unmark(stream));
  }

  #unmark(stream: Duplex): void {
    clearTimeout(this.#idle.get(stream)?.idle);
    this.#idle.delete(stream);
  }

  #isFull(run: string): boolean {
    const { mostOfRun = MOST_OF_RUN, mostInAll = MOST_IN_ALL } = this.#limits;
    const ofRun = [...this.#idle.values()].filter((connection) => connection.run === run);
    return this.#idle.size >= mostInAll || ofRun.length >= mostOfRun;
  }
}

/** Options of `request` for kept connections. */
export interface KeptOptions {
  readonly place: KeptPlace;
  readonly open: OpenPage;
  readonly waiting: AbortSignal;
}

/** A request that may be sent twice: it changes nothing and has no body (RFC 9110, 9.2.1). */
export function isRepeatable({ method = "", headers }: IncomingMessage): boolean {
  const hasBody = headers["transfer-encoding"] !== undefined || !["0", undefined].includes(headers["content-length"]);
  return ["GET", "HEAD", "OPTIONS"].includes(method) && !hasBody;
}

/** Faulty servers send the body that such an answer announces and may not have (RFC 9112, 6.3). */
function isFramed({ request, answer }: Connection): boolean {
  if (!request || !answer) return false;
  const hasNoBody = request.method === "HEAD" || answer.statusCode === 204 || answer.statusCode === 304;
  const { "content-length": length = "0", "transfer-encoding": coding } = answer.headers;
  return !hasNoBody || (length === "0" && coding === undefined);
}
