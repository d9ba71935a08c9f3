import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { inTime } from "#kubernetes/client/exchange.ts";

/** Deadline of a call of the client itself (packages/kubernetes/client/api-client.ts). */
const deadlineMs = 5_000;

/**
 * Returns a client that its first call creates, because factories are synchronous. A call that waits past its deadline
 * is dropped: it could act on an old decision (docs/architecture/consistency.md#paused-workers).
 */
export function laterClient(
  make: () => Promise<ApiClient>,
  deadline: ApiClient["deadline"] = () => AbortSignal.timeout(deadlineMs),
): ApiClient {
  let making: Promise<ApiClient> | undefined;
  const made = () => {
    making ??= make().catch((error: unknown) => {
      making = undefined;
      throw error;
    });
    return making;
  };
  const madeBy = (limit = deadline()) => inTime(made(), "describe the cluster", limit);
  return {
    deadline,
    get: async (path) => (await madeBy()).get(path),
    find: async (path, limit = deadline()) => (await madeBy(limit)).find(path, limit),
    list: async (path, keep, part) => (await madeBy()).list(path, keep, part),
    create: async (path, body, limit = deadline()) => (await madeBy(limit)).create(path, body, limit),
    apply: async (path, body, limit = deadline()) => (await madeBy(limit)).apply(path, body, limit),
    patch: async (path, body, kind) => (await madeBy()).patch(path, body, kind),
    remove: async (path, options) => (await madeBy()).remove(path, options),
    open: async (path, signal) => (await madeBy()).open(path, signal),
    socket: async (path, protocol) => (await madeBy()).socket(path, protocol),
    close: () =>
      void making?.then(
        (client) => client.close(),
        () => undefined,
      ),
  };
}
