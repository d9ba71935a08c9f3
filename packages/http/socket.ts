import type * as z from "zod";
import type { Context, PortName, UserContext } from "#core/context.ts";
import type { Dialect } from "./dialect.ts";
import type { Schema } from "./endpoint.ts";

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface PollResult {
  readonly notice?: { readonly n: number; readonly words: string };
  readonly closing?: Closing;
}

export interface Channel {
  send(frame: object): void;
  close(closing: Closing): void;
}

/** A connection as seen by its function. */
export interface SocketSession {
  /** Connections with the same text share a poll. */
  readonly about: string;
  /** Handles one text frame of the client, "" for a binary one. Frames may overlap. */
  receive(text: string): Promise<void>;
  poll(): Promise<PollResult>;
  show(found: PollResult): void;
  overdue(): Closing | undefined;
  end(): void;
}

export type SocketState = Readonly<Record<string, string | number>>;

/** The result of one event: the next state and the frames to send. */
export interface SocketStep<State extends SocketState = SocketState> {
  readonly state: State;
  readonly frames: readonly object[];
  readonly closing?: Closing;
}

export interface SocketMessage {
  readonly text: string;
  /** Deduplication key of the frame. */
  readonly id: string;
  /** When the client sent it, ms since the epoch: it may have waited behind a long command. */
  readonly sentAt: number;
}

export interface SocketVerbs<Ctx, Params, State extends SocketState> {
  begin(input: SocketInput<Ctx, Params>): Promise<SocketStep<State>>;
  open(ctx: Ctx, begun: SocketStep<State>, channel: Channel): SocketSession;
  answer(ctx: Ctx, state: State, message: SocketMessage): Promise<SocketStep<State>>;
}

export interface Socket<Needs extends PortName = PortName> {
  readonly kind: "socket";
  readonly dialect: Dialect;
  readonly path: string;
  readonly uses: readonly Needs[];
  readonly params: Schema;
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verbs: SocketVerbs<Context<PortName>, unknown, SocketState>;
}

export interface SocketInput<Ctx, Params> {
  readonly ctx: Ctx;
  readonly params: Params;
}

export interface SocketOptions<Uses extends PortName, Params extends Schema> {
  readonly uses: readonly Uses[];
  readonly params: Params;
  readonly timeoutSeconds: number;
  readonly memoryMb?: number;
}

export function socketIn(dialect: Dialect) {
  return <Uses extends PortName, Params extends Schema, State extends SocketState>(
    path: string,
    { uses, params, timeoutSeconds, memoryMb = 512 }: SocketOptions<Uses, Params>,
    verbs: SocketVerbs<UserContext<Uses>, z.output<Params>, State>,
  ): Socket<Uses | "table"> => ({
    kind: "socket",
    dialect,
    path,
    params,
    timeoutSeconds,
    memoryMb,
    uses: [...new Set<Uses | "table">([...uses, "table"])],
    verbs: withoutTypes(verbs),
  });
}

/** Sound because verbs get only results of `params`, `uses` and `begin` next to them. */
function withoutTypes<Ctx, Params, State extends SocketState>(verbs: SocketVerbs<Ctx, Params, State>): Socket["verbs"] {
  return verbs as unknown as Socket["verbs"];
}
