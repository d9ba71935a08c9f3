import { callApi, unlessMissing } from "./job-client.ts";
import { eventually } from "./processes.ts";

/** Fields of an instance that the tests read (docs/apis/novita.md#read-instances). */
export interface Instance {
  readonly instanceId: string;
  readonly status: string;
  readonly statusReason: string | null;
}

interface Page {
  readonly instances: readonly Instance[];
  readonly total: number;
}

/** User of the novita API with a key. Every call throws unless it succeeds. */
export interface InstanceClient {
  /** Creates an instance on one GPU of a `g6.12xlarge`. */
  create(name: string): Promise<string>;
  /** Both resolve with the id of the operation. */
  start(id: string): Promise<string>;
  stop(id: string): Promise<string>;
  /** Lists all instances, including those whose creation was never answered. */
  list(): Promise<Instance[]>;
  /** Reads an instance until its status is one of these. Returns undefined if it does not exist. */
  until(id: string, statuses: readonly string[], withinMs?: number): Promise<Instance | undefined>;
}

export function instanceClient(url: string, key: string): InstanceClient {
  const call = (method: string, path: string, body?: unknown) => callApi(url, key, { method, path, body });
  const change = async (id: string, verb: "start" | "stop") =>
    ((await call("POST", `/api/instances/${id}/${verb}`, {})) as { operationId: string }).operationId;
  return {
    create: async (name) => {
      const body = { name, productName: "L4 24GB", templateId: "ubuntu-ssh" };
      return ((await call("POST", "/api/instances", body)) as { instanceId: string }).instanceId;
    },
    start: (id) => change(id, "start"),
    stop: (id) => change(id, "stop"),
    list: async () => {
      const all: Instance[] = [];
      for (let total = 1; all.length < total; ) {
        const page = (await call("GET", `/api/instances?limit=500&offset=${all.length}`)) as Page;
        if (page.instances.length === 0) break;
        all.push(...page.instances);
        total = page.total;
      }
      return all;
    },
    until: (id, statuses, withinMs) => {
      const get = async () => (await unlessMissing(call("GET", `/api/instances/${id}`))) as Instance | undefined;
      return eventually(get, (instance) => instance === undefined || statuses.includes(instance.status), withinMs);
    },
  };
}
