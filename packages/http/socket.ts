import type * as z from "zod";
import type { Context, PortName, UserContext } from "#core/context.ts";
import type { Dialect } from "./dialect.ts";
import type { Schema } from "./endpoint.ts";

/** Why a connection is closed, in the codes of RFC 6455 section 7.4. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
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
  /** Whether what it is about is still there; asked every few seconds, for all that are about the same. */
  look(): Promise<Closing | undefined>;
  /** Whether it has been quiet for too long. */
  overdue(): Closing | undefined;
  /** The connection is gone. */
  end(): void;
}

/** Opens the books on a connection that was admitted. */
export type OpenSession = (channel: Channel) => SocketSession;

/** One WebSocket as data. */
export interface Socket<Needs extends PortName = PortName> {
  readonly kind: "socket";
  readonly dialect: Dialect;
  /** With parameters in braces. */
  readonly path: string;
  readonly summary: string;
  readonly uses: readonly Needs[];
  readonly params: Schema;
  /** Of one command, in the cloud. */
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verb: (input: SocketInput<Context<PortName>, unknown>) => Promise<OpenSession>;
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
 * Declares a WebSocket of a dialect. Its verb runs before the upgrade, and what it throws is answered instead of one;
 * the key of the client may stand in the query (docs/apis/common.md#keys).
 */
export function socketIn(dialect: Dialect) {
  return <Uses extends PortName, Params extends Schema>(
    path: string,
    { summary, uses, params, timeoutSeconds, memoryMb = 512 }: SocketOptions<Uses, Params>,
    verb: (input: SocketInput<UserContext<Uses>, z.output<Params>>) => Promise<OpenSession>,
  ): Socket<Uses | "table"> => ({
    kind: "socket",
    dialect,
    path,
    summary,
    params,
    timeoutSeconds,
    memoryMb,
    uses: [...new Set<Uses | "table">([...uses, "table"])],
    verb: withoutTypes(verb),
  });
}

/** Sound because `handshake` gives a verb what `params` and `uses` next to it produced, and nothing else. */
function withoutTypes(verb: (input: never) => Promise<OpenSession>): Socket["verb"] {
  return verb as Socket["verb"];
}
