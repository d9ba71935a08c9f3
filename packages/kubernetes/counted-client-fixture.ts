import type { ApiClient } from "./api-client.ts";

export interface CountedClient {
  readonly client: ApiClient;
  /** What was changed on objects whose path or name holds this text: `apply secrets`, `create jobs`, in their order. */
  changesOf(text: string): string[];
}

/** Notes every change that the API server accepted: one that was not answered is made again, and counts once. */
export function countedClient(client: ApiClient): CountedClient {
  const changes: { readonly what: string; readonly about: string }[] = [];
  const noted = async <Value>(what: string, path: string, about: string, call: Promise<Value>) => {
    const value = await call;
    const kind = path.split("/").findLast((part) => /^[a-z]+s$/.test(part));
    changes.push({ what: `${what} ${kind}`, about: `${path} ${about}` });
    return value;
  };
  return {
    client: {
      ...client,
      create: <Body>(path: string, body: object, deadline?: AbortSignal) =>
        noted("create", path, JSON.stringify(body), client.create<Body>(path, body, deadline)),
      apply: <Body>(path: string, body: object, deadline?: AbortSignal) =>
        noted("apply", path, "", client.apply<Body>(path, body, deadline)),
      patch: (path, body, kind) => noted("patch", path, "", client.patch(path, body, kind)),
      remove: (path, options) => noted("remove", path, "", client.remove(path, options)),
    },
    changesOf: (text) => changes.filter(({ about }) => about.includes(text)).map(({ what }) => what),
  };
}
