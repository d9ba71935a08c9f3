import type { IncomingMessage } from "node:http";
import { createSecureContext, type SecureContext } from "node:tls";
import { WebSocket } from "ws";
import { ApiRefused, ApiUnreachable } from "./api-error.ts";
import {
  type ApiAccess,
  authorization,
  buildUrl,
  formatRequestName,
  inTime,
  readStatusBody,
  tlsOptions,
} from "./exchange.ts";

/** v5 can close a command's input; port-forward supports only v4. */
export type StreamProtocol = "v4.channel.k8s.io" | "v5.channel.k8s.io";

/**
 * Opens a WebSocket, paused: first frames often arrive with the server's answer. Add listeners, then `resume` it.
 * `deadline` holds until it is open.
 */
export async function openSocket(
  access: ApiAccess,
  path: string,
  protocol: StreamProtocol,
  deadline: AbortSignal,
): Promise<WebSocket> {
  const call = formatRequestName({ method: "GET", path });
  const token = await inTime(access.token(), call, deadline);
  try {
    return await dial(access, path, protocol, token, deadline);
  } catch (error) {
    if (!(error instanceof ApiRefused) || error.status !== 401) throw error;
    const fresh = await inTime(access.token(token), call, deadline);
    return dial(access, path, protocol, fresh, deadline);
  }
}

function dial(
  access: ApiAccess,
  path: string,
  protocol: StreamProtocol,
  token: string | undefined,
  deadline: AbortSignal,
): Promise<WebSocket> {
  const call = formatRequestName({ method: "GET", path });
  const url = buildUrl(access, path);
  url.protocol = "wss:";
  const options = {
    ...tlsOptions(access),
    secureContext: getContext(access),
    headers: authorization(token),
    perMessageDeflate: false,
  };
  const socket = new WebSocket(url, protocol, options);
  return new Promise((resolve, reject) => {
    const stop = () => {
      reject(new ApiUnreachable(call, "timed out"));
      socket.terminate();
    };
    deadline.addEventListener("abort", stop);
    const settle = () => deadline.removeEventListener("abort", stop);
    socket.once("open", () => {
      settle();
      socket.pause();
      resolve(socket);
    });
    // The socket closes after a later error, and its reader sees that.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      settle();
      reject(new ApiUnreachable(call, error.code ?? "cut off"));
    });
    socket.once("unexpected-response", (_, response: IncomingMessage) => {
      const refused = readStatusBody(response, call, deadline);
      refused
        .then((body) => reject(new ApiRefused(call, response.statusCode ?? 0, body)), reject)
        .finally(() => {
          settle();
          socket.terminate();
        });
    });
    if (deadline.aborted) stop();
  });
}

const contexts = new WeakMap<ApiAccess, SecureContext>();

/** Returns one context for all sockets of an access. Otherwise each one parses the certificates and keeps 35 kB. */
function getContext(access: ApiAccess): SecureContext {
  const context = contexts.get(access) ?? createSecureContext(tlsOptions(access));
  contexts.set(access, context);
  return context;
}
