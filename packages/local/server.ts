import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Catalog } from "#http/catalog.ts";
import { compose } from "#http/compose.ts";
import type { Runtime } from "#http/runtime.ts";

export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** 0: a free one. */
  readonly port: number;
  /** The setting that says so. */
  readonly setting: "PORT" | "METRICS_PORT";
}

/** All these endpoints in one server on 127.0.0.1. Throws when the port is in use. */
export async function startServer(
  runtime: Runtime,
  entries: Catalog["endpoints"],
  { port, setting }: ServerOptions,
): Promise<RunningServer> {
  const app = compose(
    runtime,
    entries.map(({ thing }) => thing),
  );
  const server = createAdaptorServer({ fetch: app.fetch });
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(`Port ${port} is in use.\nSet ${setting} to another one, or to 0 for any free one.`, {
      cause: error,
    });
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ("closeIdleConnections" in server) server.closeIdleConnections();
        setTimeout(() => "closeAllConnections" in server && server.closeAllConnections(), 200).unref();
      }),
  };
}
