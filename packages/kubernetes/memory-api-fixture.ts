import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import type { ApiClient } from "./api-client.ts";
import { ApiRefused } from "./api-error.ts";
import { listPages } from "./list-pages.ts";
import type { Job, KubeObject, Node, Pod } from "./objects.ts";

/** An API server in memory, at which nothing happens but what is asked: each Job has a pod at once, which runs. */
export interface MemoryApi {
  readonly client: ApiClient;
  /** Each request, in its order, each page of a list and each watch among them: `list /api/v1/nodes`. */
  readonly requests: string[];
  /** Resolves once so many watches are open. */
  watched(count: number): Promise<void>;
  /** Ends the watches whose time is over, as the server does, with the bookmark that comes before that. */
  endWatches(): void;
}

export interface MemoryApiOptions {
  readonly namespace: string;
  readonly nodes: readonly Node[];
  /** Pods of others. */
  readonly pods: readonly Pod[];
  /** How long the text of each object is: how many come in a page depends on it. */
  readonly bytesOfObject: number;
  /** ms. */
  now(): number;
}

interface Watch {
  readonly stream: PassThrough;
  readonly endsAt: number;
}

export function memoryApi({ namespace, nodes, pods: foreign, bytesOfObject, now }: MemoryApiOptions): MemoryApi {
  const [jobs, pods] = [new Map<string, Job>(), new Map<string, Pod>()];
  const watches = new Set<Watch>();
  const requests: string[] = [];
  let version = 1;
  let opened = (): void => undefined;
  const note = (verb: string, path: string) => void requests.push(`${verb} ${path.split("?")[0]}`);
  const atPath = (path: string): readonly KubeObject[] => {
    if (path === "/api/v1/nodes") return nodes;
    if (path === "/api/v1/pods") return [...foreign, ...pods.values()];
    if (path === `/apis/batch/v1/namespaces/${namespace}/jobs`) return [...jobs.values()];
    return path === `/api/v1/namespaces/${namespace}/pods` ? [...pods.values()] : [];
  };
  const page = (verb: string, path: string) => {
    note(verb, path);
    const { pathname, searchParams } = new URL(path, "https://memory");
    const all = atPath(pathname).filter((item) => fits(item, searchParams.get("labelSelector") ?? ""));
    const [from, limit] = [Number(searchParams.get("continue") ?? 0), Number(searchParams.get("limit"))];
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    return { metadata: { resourceVersion: String(version), ...more }, items: all.slice(from, from + limit) };
  };
  const read = async <Body>(path: string) => {
    const body = page("list", path);
    return { body: body as Body, bytes: body.items.length * bytesOfObject };
  };
  const found = <Body>(path: string) => {
    const [, parent = "", name] = /^(.*)\/([^/?]+)/.exec(path) ?? [];
    return atPath(parent).find(({ metadata }) => metadata.name === name) as Body | undefined;
  };
  const make = <Body>(path: string, body: object): Body => {
    version += 1;
    const marks = { namespace, creationTimestamp: new Date(now()).toISOString(), resourceVersion: String(version) };
    const made = body as Job & { readonly spec: { readonly template: Pod } };
    const { name } = made.metadata;
    if (path.endsWith("/jobs")) {
      const job: Job = { ...made, metadata: { ...made.metadata, ...marks, uid: `job-${version}` } };
      jobs.set(name, job);
      pods.set(name, runningPod(job, made.spec.template));
    }
    return made as Body;
  };
  const client: ApiClient = {
    deadline: () => new AbortController().signal,
    get: async <Body>(path: string) => page("get", path) as Body,
    find: async <Body>(path: string) => {
      note("find", path);
      return found<Body>(path);
    },
    list: (path, keep, options) => listPages({ read, peek: read, answers: () => 1 }, path, keep, options),
    create: async <Body>(path: string, body: object) => {
      note("create", path);
      return make<Body>(path, body);
    },
    apply: async <Body>(path: string, body: object) => {
      note("apply", path);
      return body as Body;
    },
    async patch<Body>(path: string, body: object) {
      note("patch", path);
      const job = found<Job>(path);
      if (!job) throw new ApiRefused(`PATCH ${path}`, 404, { reason: "NotFound" });
      const { annotations } = (body as Job).metadata;
      const metadata = { ...job.metadata, annotations: { ...job.metadata.annotations, ...annotations } };
      jobs.set(job.metadata.name, { ...job, metadata });
      return {} as Body;
    },
    remove: async (path) => note("remove", path),
    async open(path, signal) {
      note("watch", path);
      const seconds = Number(new URL(path, "https://memory").searchParams.get("timeoutSeconds"));
      const watch: Watch = { stream: new PassThrough(), endsAt: now() + seconds * 1000 };
      watches.add(watch);
      signal.addEventListener("abort", () => {
        watches.delete(watch);
        watch.stream.destroy();
      });
      opened();
      return asResponse(watch.stream);
    },
    socket: async (path) => {
      throw new Error(`Nothing is streamed from ${path}`);
    },
    close: () => undefined,
  };
  return {
    client,
    requests,
    async watched(count) {
      while (watches.size < count) await new Promise<void>((resolve) => (opened = resolve));
    },
    endWatches() {
      const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: String(version) } } };
      for (const watch of watches) {
        if (watch.endsAt > now()) continue;
        watches.delete(watch);
        watch.stream.end(`${JSON.stringify(bookmark)}\n`);
      }
    },
  };
}

/** Of a watch nothing is read but what comes through it. */
function asResponse(stream: PassThrough): IncomingMessage {
  return stream as unknown as IncomingMessage;
}

/** `a=b,c,d in (e,f)`: the label a is b, there is a label c, and d is one of e and f. */
function fits({ metadata: { labels = {} } }: KubeObject, selector: string): boolean {
  const terms = selector === "" ? [] : selector.split(/,(?![^(]*\))/);
  return terms.every((term) => {
    const [, name = "", value, among] = /^([^= ]+)(?:=(.*)| in \((.*)\))?$/.exec(term) ?? [];
    if (among !== undefined) return among.split(",").includes(labels[name] ?? "");
    return value === undefined ? name in labels : labels[name] === value;
  });
}

/** As soon as its Job, on the node that the Job names. */
function runningPod({ metadata }: Job, { metadata: marks, spec }: Pod): Pod {
  const { name, uid, namespace = "", creationTimestamp, resourceVersion } = metadata;
  const [, node] = /"metadata.name","operator":"In","values":\["([^"]+)"\]/.exec(JSON.stringify(spec)) ?? [];
  return {
    metadata: {
      ...marks,
      name: `${name}-pod`,
      generateName: `${name}-`,
      namespace,
      uid: `pod-${uid}`,
      creationTimestamp,
      resourceVersion,
      ownerReferences: [{ kind: "Job", name, uid }],
    },
    spec: { ...spec, nodeName: node ?? "" },
    status: {
      phase: "Running",
      podIP: "10.0.0.1",
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [{ name: "main", started: true, state: { running: { startedAt: creationTimestamp } } }],
    },
  };
}
