import type { IncomingMessage, ServerResponse } from "node:http";
import { WebSocketServer } from "ws";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";

interface KubeObject {
  readonly kind?: string;
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string | null>>;
  };
  readonly [field: string]: unknown;
}

/**
 * An API server that stores objects and runs nothing. Each Job gets a running pod at once. `showRun` adds a run that
 * was not created through the API.
 */
export interface KubeServer {
  readonly url: string;
  /** Certificate as PEM. */
  readonly ca: string;
  readonly objects: ReadonlyMap<string, KubeObject>;
  addNode(node: KubeObject): void;
  showRun(run: ShownRun): void;
  /**
   * Deletes all objects and sets the time (ms). `areServed` decides whether new pods become ready and get an address.
   */
  clear(now: number, areServed?: boolean): void;
  close(): Promise<void>;
}

export interface ShownRun {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly name: string;
  readonly node: string;
  readonly claim?: string;
}

export async function startKubeServer(): Promise<KubeServer> {
  const objects = new Map<string, KubeObject>();
  let version = 1;
  let time = 0;
  let areServed = true;
  const keep = (path: string, body: KubeObject): KubeObject => {
    version += 1;
    const marks = { uid: `uid-${version}`, creationTimestamp: new Date(time - 60_000).toISOString() };
    const knownMetadata = objects.get(path)?.metadata;
    // A merge patch keeps other annotations.
    const annotations = { ...knownMetadata?.annotations, ...body.metadata.annotations };
    const metadata = { ...marks, ...knownMetadata, ...body.metadata, annotations, resourceVersion: String(version) };
    const made = { ...objects.get(path), ...body, metadata };
    objects.set(path, made);
    const [, namespace = ""] = /\/namespaces\/([^/]+)\/jobs\//.exec(path) ?? [];
    if (namespace !== "" && !knownMetadata) addPod(namespace, made);
    return made;
  };
  const addPod = (namespace: string, job: KubeObject) => {
    const { name, uid } = job.metadata;
    const { spec } = job as unknown as { spec: { template: { metadata?: KubeObject["metadata"]; spec: object } } };
    const { metadata, ...template } = spec.template;
    const ownerReferences = [{ kind: "Job", name, uid }];
    const nodeName = nodeNamed(spec.template.spec);
    const state = { running: { startedAt: new Date(time - 30_000).toISOString() } };
    keep(`/api/v1/namespaces/${namespace}/pods/${name}-x`, {
      metadata: { ...metadata, name: `${name}-x`, namespace, ownerReferences },
      spec: { ...template.spec, nodeName },
      status: {
        phase: "Running",
        ...(areServed && { podIP: "10.0.0.1" }),
        conditions: [{ type: "Ready", status: areServed ? "True" : "False" }],
        containerStatuses: [{ name: "main", started: true, state }],
      },
    });
  };
  const remove = (path: string) => {
    objects.delete(path);
    const [, before = "", name] = /^\/apis\/batch\/v1(\/namespaces\/[^/]+)\/jobs\/([^/]+)$/.exec(path) ?? [];
    if (name !== undefined) objects.delete(`/api/v1${before}/pods/${name}-x`);
  };
  const listed = (path: string, selector: string): KubeObject[] => {
    const [, kind = ""] = /([a-z]+)$/.exec(path) ?? [];
    const isWithin = (name: string) =>
      path.includes("/namespaces/") ? name.startsWith(`${path}/`) : new RegExp(`/${kind}/[^/]+$`).test(name);
    return [...objects].filter(([name, item]) => isWithin(name) && fits(item, selector)).map(([, item]) => item);
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = "", url = "" } = request;
    const { pathname, searchParams } = new URL(url, "https://kube");
    if (method === "GET" && searchParams.has("watch")) return void response.writeHead(200).flushHeaders();
    if (method === "GET" && /\/log$/.test(pathname)) return void response.end("a line\n");
    const found = objects.get(pathname);
    if (method === "GET" && found) return answerJson(response, found);
    if (method === "GET" && /s$/.test(pathname) && !/-r\d+(-\w+)?s$/.test(pathname)) {
      const items = listed(pathname, searchParams.get("labelSelector") ?? "");
      return answerJson(response, { metadata: { resourceVersion: String(version) }, items });
    }
    if (method === "GET") return refuse(response, 404, "NotFound");
    const body = await readBody(request);
    if (method === "POST") {
      const path = `${pathname}/${body.metadata.name}`;
      if (objects.has(path)) return refuse(response, 409, "AlreadyExists");
      return answerJson(response, keep(path, body), 201);
    }
    if (method === "PATCH") return answerJson(response, keep(pathname, body));
    remove(pathname);
    return answerJson(response, { kind: "Status", status: "Success" });
  };
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: ([first]) => first ?? false });
  const server: LoopbackServer = await loopbackServer(
    (request, response) => void answer(request, response),
    {},
    (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (opened) => {
        const words = new URL(request.url ?? "", "https://kube").searchParams.getAll("command");
        // The reader of a command's result expects its exit code, whether it was late, and its directory.
        if (words.join(" ").includes("tries="))
          opened.send(Buffer.concat([Buffer.from([1]), Buffer.from("0 0 0\nout\n")]));
        opened.send(Buffer.concat([Buffer.from([3]), Buffer.from('{"status":"Success"}')]));
        opened.close();
      }),
  );
  return {
    url: server.access.url,
    ca: server.access.ca ?? "",
    objects,
    addNode: (node) => void keep(`/api/v1/nodes/${node.metadata.name}`, node),
    showRun({ namespace, labels, name, node, claim }) {
      const volumes = claim === undefined ? [] : [{ name: "volume-0", persistentVolumeClaim: { claimName: claim } }];
      const spec = { containers: [{ name: "main", command: ["sh"] }], volumes, nodeName: node };
      const job = { metadata: { name, namespace, labels }, spec: { template: { metadata: { name, labels }, spec } } };
      keep(`/apis/batch/v1/namespaces/${namespace}/jobs/${name}`, job);
    },
    clear(now, areServedNow = true) {
      objects.clear();
      time = now;
      areServed = areServedNow;
    },
    async close() {
      sockets.close();
      await server.close();
    },
  };
}

async function readBody(request: IncomingMessage): Promise<KubeObject> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  return text === "" ? ({ metadata: { name: "" } } as KubeObject) : JSON.parse(text);
}

function fits({ metadata: { labels = {} } }: KubeObject, selector: string): boolean {
  const terms = selector === "" ? [] : selector.split(",").map((term) => term.split("="));
  return terms.every(([name = "", value]) => (value === undefined ? name in labels : labels[name] === value));
}

function nodeNamed(spec: object): string {
  const text = JSON.stringify(spec);
  const [, said] = /"nodeName":"([^"]+)"/.exec(text) ?? [];
  const [, wanted] = /"metadata.name","operator":"In","values":\["([^"]+)"\]/.exec(text) ?? [];
  return said ?? wanted ?? "";
}
