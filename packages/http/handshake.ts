import { type Exchange, logExchange, openExchange } from "./exchange.ts";
import { keyCheck } from "./key-check.ts";
import { splitPathKey } from "./key-prefix.ts";
import { boundLog } from "./log.ts";
import { problemResponse } from "./problem-response.ts";
import { readQuery } from "./query.ts";
import { Refusal } from "./refusal.ts";
import { paramsOf } from "./routes.ts";
import { contextOf, type Runtime } from "./runtime.ts";
import type { OpenSession, Socket } from "./socket.ts";

/** A client that may have its upgrade. */
export interface Admitted {
  readonly requestId: string;
  readonly open: OpenSession;
  /** Whether its key is still good. */
  isStillAdmitted(): Promise<boolean>;
}

/**
 * Judges requests for an upgrade, in the order of docs/apis/common.md#order-of-checks-and-errors. Answers undefined
 * where no socket has the path, and the refusal in the dialect's envelope. It never throws.
 */
export function handshakes(
  runtime: Runtime,
  sockets: readonly Socket[],
): (request: Request) => Promise<Admitted | Response | undefined> {
  const { ids, clock, settings, keys } = runtime;
  const check = keyCheck({ table: runtime.ports.table, ids, clock, settings, memory: keys });

  return async (request) => {
    const { path, key } = splitPathKey(request);
    const [found] = sockets.flatMap((socket) => {
      const params = paramsOf(socket.path, path);
      return params ? [{ socket, params }] : [];
    });
    if (!found) return undefined;
    const { socket, params } = found;
    const exchange = openExchange(runtime, request, { path, route: socket.path, dialect: socket.dialect });
    const admit = () => check(request.headers, [key, readQuery(request.url).api_key]);
    try {
      exchange.actor = await admit();
      const open = await opened(runtime, exchange, socket, params);
      logExchange(runtime, exchange, 101);
      return { requestId: exchange.requestId, open, isStillAdmitted: () => isGood(admit) };
    } catch (error) {
      const response = problemResponse(runtime, exchange, error);
      logExchange(runtime, exchange, response.status);
      return response;
    }
  };
}

async function opened(
  runtime: Runtime,
  { requestId, actor, dialect }: Exchange,
  socket: Socket,
  given: Readonly<Record<string, string>>,
): Promise<OpenSession> {
  const params = socket.params.safeParse(given);
  if (!params.success) throw new Refusal("unknownPath");
  const log = boundLog(runtime.log, { requestId });
  const ctx = { ...contextOf(runtime), log, actor, dialect: dialect.name, noun: dialect.noun };
  return socket.verb({ ctx, params: params.data });
}

/** An outage takes nobody's key away. */
async function isGood(admit: () => Promise<unknown>): Promise<boolean> {
  try {
    await admit();
    return true;
  } catch (error) {
    return !(error instanceof Refusal);
  }
}
