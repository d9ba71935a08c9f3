import type { ApiClient } from "#kubernetes/api-client.ts";

/** As long as a call of the client itself may take (packages/kubernetes/api-client.ts). */
const deadlineMs = 5_000;

/**
 * A client that is made by the first call that needs it, and by the next one where that failed: a factory answers at
 * once, and where the API server is may first have to be asked.
 */
export function laterClient(make: () => Promise<ApiClient>): ApiClient {
  let making: Promise<ApiClient> | undefined;
  const made = () => {
    making ??= make().catch((error: unknown) => {
      making = undefined;
      throw error;
    });
    return making;
  };
  return {
    deadline: () => AbortSignal.timeout(deadlineMs),
    get: async (path) => (await made()).get(path),
    find: async (path, deadline) => (await made()).find(path, deadline),
    list: async (path, keep, part) => (await made()).list(path, keep, part),
    create: async (path, body, deadline) => (await made()).create(path, body, deadline),
    apply: async (path, body, deadline) => (await made()).apply(path, body, deadline),
    patch: async (path, body, kind) => (await made()).patch(path, body, kind),
    remove: async (path, options) => (await made()).remove(path, options),
    open: async (path, signal) => (await made()).open(path, signal),
    socket: async (path, protocol) => (await made()).socket(path, protocol),
    close: () =>
      void making?.then(
        (client) => client.close(),
        () => undefined,
      ),
  };
}
