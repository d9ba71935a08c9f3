import type * as z from "zod";
import type { Context, PortName, UserContext } from "#core/context.ts";
import type { Dialect } from "./dialect.ts";
import type { Schema } from "./endpoint.ts";

/** Why a connection is closed, in the codes of RFC 6455 section 7.4. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

/** What a look found that clients are to know. */
export interface PollResult {
  /** The newest notice; `n` grows from one to the next. */
  readonly notice?: { readonly n: number; readonly words: string };
  /** Closes the connection after the notice. */
  readonly closing?: Closing;
}

/** The server's end of one connection. */
export interface Channel {
  /** One text frame of JSON. */
  send(frame: object): void;
  close(closing: Closing): void;
}

/** What a connection is to the function that serves it. */
export interface SocketSession {
  /** Connections whose text is the same are looked at together. */
  readonly about: string;
  /**
   * One text frame of the client's, "" for one that is no text. Resolves when it is dealt with; others may come before.
   */
  receive(text: string): Promise<void>;
  /** Looks at what it is about; asked every few seconds, for all that are about the same. */
  poll(): Promise<PollResult>;
  /** Tells the client what a look found, unless it knows. */
  show(found: PollResult): void;
  /** Whether it has been quiet for too long. */
  overdue(): Closing | undefined;
  /** The connection is gone. */
  end(): void;
}

/** The state of a connection between two frames: plain data, in memory or in a record. */
export type SocketState = Readonly<Record<string, string | number>>;

/** What follows from one event of a connection: what it is from then on, and what its client is sent. */
export interface SocketStep<State extends SocketState = SocketState> {
  readonly state: State;
  readonly frames: readonly object[];
  /** Closes the connection after the frames. */
  readonly closing?: Closing;
}

/** A client's frame that waited in a queue. */
export interface SocketMessage {
  readonly text: string;
  /** The same one twice is the same frame. */
  readonly id: string;
  /** When the client sent it, ms since the epoch: it may have waited behind a long command. */
  readonly sentAt: number;
}

/** How one kind of WebSocket is served. */
export interface SocketVerbs<Ctx, Params, State extends SocketState> {
  /** Runs before the upgrade; what it throws is answered instead of one. `Problem` and `Refusal` in words. */
  begin(input: SocketInput<Ctx, Params>): Promise<SocketStep<State>>;
  /** Serves a connection that this process keeps. */
  open(ctx: Ctx, begun: SocketStep<State>, channel: Channel): SocketSession;
  /**
   * Deals with one frame of a connection that a gateway keeps, from start to end; those of one connection come one after
   * another. The same message twice is dealt with once, and has the same answer.
   */
  answer(ctx: Ctx, state: State, message: SocketMessage): Promise<SocketStep<State>>;
}

/** One WebSocket as data. */
export interface Socket<Needs extends PortName = PortName> {
  readonly kind: "socket";
  readonly dialect: Dialect;
  /** With parameters in braces. */
  readonly path: string;
  readonly summary: string;
  readonly uses: readonly Needs[];
  readonly params: Schema;
  /** Of one frame, where a gateway keeps the connection. */
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verbs: SocketVerbs<Context<PortName>, unknown, SocketState>;
}

export interface SocketInput<Ctx, Params> {
  readonly ctx: Ctx;
  readonly params: Params;
}

export interface SocketOptions<Uses extends PortName, Params extends Schema> {
  readonly summary: string;
  readonly uses: readonly Uses[];
  readonly params: Params;
  readonly timeoutSeconds: number;
  readonly memoryMb?: number;
}

/**
 * Declares a WebSocket of a dialect. The key of the client may stand in the query (docs/apis/common.md#keys).
 */
export function socketIn(dialect: Dialect) {
  return <Uses extends PortName, Params extends Schema, State extends SocketState>(
    path: string,
    { summary, uses, params, timeoutSeconds, memoryMb = 512 }: SocketOptions<Uses, Params>,
    verbs: SocketVerbs<UserContext<Uses>, z.output<Params>, State>,
  ): Socket<Uses | "table"> => ({
    kind: "socket",
    dialect,
    path,
    summary,
    params,
    timeoutSeconds,
    memoryMb,
    uses: [...new Set<Uses | "table">([...uses, "table"])],
    verbs: withoutTypes(verbs),
  });
}

/** Sound because verbs are given what `params`, `uses` and `begin` next to them produced, and nothing else. */
function withoutTypes<Ctx, Params, State extends SocketState>(verbs: SocketVerbs<Ctx, Params, State>): Socket["verbs"] {
  return verbs as unknown as Socket["verbs"];
}
