import type { Catalog } from "#http/catalog.ts";
import type { Runtime } from "#http/runtime.ts";
import { type RunningServer, startServer } from "./server/server.ts";

/**
 * Serves the internal endpoints on their own port, because they ask for no key. Does nothing unless a port is set.
 */
export async function startMetrics(
  runtime: Runtime,
  { internal }: Catalog,
  port: number | undefined,
): Promise<RunningServer | undefined> {
  if (port === undefined) return undefined;
  const server = await startServer(() => runtime, internal, { port, setting: "METRICS_PORT" });
  runtime.log.info("metrics", { url: `${server.url}/metrics` });
  return server;
}
