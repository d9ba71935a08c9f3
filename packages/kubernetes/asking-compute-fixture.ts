import { AsyncLocalStorage } from "node:async_hooks";
import type { Compute } from "#core/ports/compute.ts";
import type { ApiClient } from "./api-client.ts";

/** One call of a look, with what it asked of the API server, in its order: `find jobs`, `list pods`, `remove jobs`. */
export interface AskingCall {
  readonly name: "apply" | "observe" | "readLog" | "remove";
  /** Whether an observation showed the run; true for all others. */
  readonly isThere: boolean;
  readonly asked: readonly string[];
}

/** A compute that notes for each call what it asks, whatever else is asked at the same time. */
export function askingCompute(
  client: ApiClient,
  open: (client: ApiClient) => Compute,
): { readonly compute: Compute; readonly calls: readonly AskingCall[] } {
  const calls: AskingCall[] = [];
  const asking = new AsyncLocalStorage<string[]>();
  const verbs = ["get", "find", "list", "create", "apply", "patch", "remove", "open"] as const;
  const noted = verbs.map((verb) => {
    const ask = client[verb] as (path: string, ...more: unknown[]) => unknown;
    return [
      verb,
      (path: string, ...more: unknown[]) => {
        asking.getStore()?.push(`${verb} ${kindOf(path)}`);
        return ask(path, ...more);
      },
    ];
  });
  const compute = open({ ...client, ...Object.fromEntries(noted) });
  const note = async <Value>(name: AskingCall["name"], call: () => Promise<Value>): Promise<Value> => {
    const asked: string[] = [];
    const value = await asking.run(asked, call);
    calls.push({ name, asked, isThere: name !== "observe" || value !== undefined });
    return value;
  };
  return {
    calls,
    compute: {
      ...compute,
      apply: (...of) => note("apply", () => compute.apply(...of)),
      observe: (...of) => note("observe", () => compute.observe(...of)),
      readLog: (...of) => note("readLog", () => compute.readLog(...of)),
      remove: (...of) => note("remove", () => compute.remove(...of)),
    },
  };
}

/** Of `/apis/batch/v1/namespaces/n/jobs/name?…` that is `jobs`; of a pod's log, `log`. */
function kindOf(path: string): string {
  const parts = path.split("?")[0]?.split("/") ?? [];
  return parts.findLast((part) => /^(?:[a-z]+s|log)$/.test(part)) ?? path;
}
