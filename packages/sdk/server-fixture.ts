import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Closes the connection instead of answering. */
  readonly hangUp?: boolean;
}

export interface ServerFixture {
  readonly url: string;
  readonly seen: SeenRequest[];
  close(): void;
}

/** A real HTTP server that answers each request as the function says, for tests. With a certificate it speaks TLS. */
export async function openServer(
  answer: (request: SeenRequest) => Reply | Promise<Reply>,
  certificate?: { readonly cert: string; readonly key: string },
): Promise<ServerFixture> {
  const seen: SeenRequest[] = [];
  const listener: RequestListener = async (message, response) => {
    let body = "";
    for await (const part of message) body += String(part);
    const { method = "", url: path = "", headers } = message;
    const request = { method, path, headers, body };
    seen.push(request);
    send(response, await answer(request));
  };
  const server = certificate ? createTlsServer(certificate, listener) : createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `${certificate ? "https" : "http"}://127.0.0.1:${port}`,
    seen,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function send(response: ServerResponse, { status = 200, headers = {}, body, hangUp = false }: Reply): void {
  if (hangUp) {
    response.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "r-1", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body ?? {}));
}
