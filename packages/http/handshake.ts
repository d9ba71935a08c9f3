import type { Actor, PortName, UserContext } from "#core/context.ts";
import { HttpError } from "./answers/http-error.ts";
import { problemResponse } from "./answers/problem-response.ts";
import type { Edge } from "./app.ts";
import { logExchange, openExchange } from "./exchange.ts";
import { keyCheck } from "./keys/key-check.ts";
import { splitPathKey } from "./keys/key-prefix.ts";
import { boundLog } from "./log.ts";
import type { PlainRequest, PlainResponse } from "./request/plain-request.ts";
import { readQuery } from "./request/query.ts";
import { matchParams } from "./routes.ts";
import { createContext, type Runtime } from "./runtime.ts";
import type { Channel, Socket, SocketSession, SocketStep } from "./socket.ts";

export interface Admitted {
  readonly requestId: string;
  readonly actor: Actor;
  readonly begun: SocketStep;
  open(channel: Channel): SocketSession;
  isStillAdmitted(): Promise<boolean>;
}

/** Reserves the resources of an admitted client. A thrown error is answered instead of the upgrade. */
type Hold = (admitted: Admitted) => void | Promise<void>;

/**
 * Checks upgrade requests in the order of docs/apis/common.md#order-of-checks-and-errors, `hold` last. Returns
 * undefined if no socket has the path, and a response for a refusal. It never throws.
 */
export function handshakes(
  runtime: Runtime,
  sockets: readonly Socket[],
): (request: PlainRequest, hold: Hold, edge?: Edge) => Promise<Admitted | PlainResponse | undefined> {
  const { ids, clock, settings, keys } = runtime;
  const check = keyCheck({ table: runtime.ports.table, ids, clock, settings, memory: keys });

  return async (request, hold, { viewer } = {}) => {
    const { path, key } = splitPathKey(request);
    const [found] = sockets.flatMap((socket) => {
      const params = matchParams(socket.path, path);
      return params ? [{ socket, params }] : [];
    });
    if (!found) return undefined;
    const { socket, params } = found;
    const exchange = openExchange(runtime, request, { path, route: socket.path, dialect: socket.dialect, viewer });
    const admit = () => check(request.headers, [key, readQuery(request.url).api_key]);
    try {
      const actor = await admit();
      exchange.actor = actor;
      const ctx = socketContext(runtime, socket, { requestId: exchange.requestId, actor });
      const begun = await begin(ctx, socket, params);
      const open = (channel: Channel) => socket.verbs.open(ctx, begun, channel);
      const { requestId } = exchange;
      const admitted: Admitted = { requestId, actor, begun, open, isStillAdmitted: () => isGood(admit) };
      await hold(admitted);
      logExchange(runtime, exchange, 101);
      return admitted;
    } catch (error) {
      const response = problemResponse(runtime, exchange, error);
      logExchange(runtime, exchange, response.status);
      return response;
    }
  };
}

/** Returns the context for the work of a connection. Its log lines carry the id of the request that opened it. */
export function socketContext(
  runtime: Runtime,
  { dialect }: Pick<Socket, "dialect">,
  { requestId, actor }: { readonly requestId: string; readonly actor: Actor },
): UserContext<PortName> {
  const log = boundLog(runtime.log, { requestId });
  return { ...createContext(runtime), log, actor, dialect: dialect.name, noun: dialect.noun };
}

async function begin(
  ctx: UserContext<PortName>,
  socket: Socket,
  offered: Readonly<Record<string, string>>,
): Promise<SocketStep> {
  const params = socket.params.safeParse(offered);
  if (!params.success) throw new HttpError("unknownPath");
  return socket.verbs.begin({ ctx, params: params.data });
}

/** Reports whether the key is still valid. An outage does not invalidate it. */
async function isGood(admit: () => Promise<unknown>): Promise<boolean> {
  try {
    await admit();
    return true;
  } catch (error) {
    return !(error instanceof HttpError);
  }
}
