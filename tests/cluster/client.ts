import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import https from "node:https";

/** Address of an API server with a client's credentials. */
export interface Access {
  readonly url: string;
  /** Certificate of its authority, as PEM. */
  readonly ca: string;
  readonly token: string;
  /** Headers of each request, for example `Impersonate-User`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Common fields of Kubernetes objects. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly uid: string }[];
  };
}

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

export type PatchKind = "merge" | "strategic-merge" | "json";

/** Client of an API server. No HTTP status makes it throw. */
export interface KubeClient {
  readonly access: Access;
  get<Body = KubeObject>(path: string): Promise<Answer<Body>>;
  post<Body = KubeObject>(path: string, body: object): Promise<Answer<Body>>;
  patch<Body = KubeObject>(path: string, body: object, kind?: PatchKind): Promise<Answer<Body>>;
  /** Applies an object on the server's side. A string is YAML. */
  apply<Body = KubeObject>(path: string, body: object | string): Promise<Answer<Body>>;
  remove(path: string, options?: object): Promise<Answer<KubeObject>>;
  /** Opens a reply to read as a stream, such as a followed log or a watch. */
  open(path: string, signal?: AbortSignal): Promise<IncomingMessage>;
  close(): void;
}

export function kubeClient(access: Access): KubeClient {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 32, ca: access.ca });
  const send = async (method: string, path: string, body?: object | string, type?: string, signal?: AbortSignal) => {
    const data = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const request = https.request(new URL(path, access.url), {
      method,
      agent,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        ...access.headers,
        authorization: `Bearer ${access.token}`,
        accept: "application/json",
        ...(data === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(data) }),
      },
    });
    request.end(data);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response;
  };
  const call = async <Body>(method: string, path: string, body?: object | string, type = "application/json") =>
    getAnswer<Body>(await send(method, path, body, type));
  return {
    access,
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, body),
    patch: (path, body, kind = "merge") => call("PATCH", path, body, `application/${kind}-patch+json`),
    apply: (path, body) => call("PATCH", `${path}?fieldManager=bench&force=true`, body, "application/apply-patch+yaml"),
    remove: (path, options = {}) => call("DELETE", path, { kind: "DeleteOptions", apiVersion: "v1", ...options }),
    open: (path, signal) => send("GET", path, undefined, undefined, signal),
    close: () => agent.destroy(),
  };
}

/** Reads a whole reply as text. */
export async function readText(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

async function getAnswer<Body>(response: IncomingMessage): Promise<Answer<Body>> {
  const text = await readText(response);
  const isJson = response.headers["content-type"]?.includes("json") ?? false;
  return { status: response.statusCode ?? 0, body: (isJson ? JSON.parse(text) : text) as Body };
}
