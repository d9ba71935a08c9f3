import type { IncomingMessage } from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { WebSocket } from "ws";
import { ApiUnreachable, isAnother, isNotFound } from "./api-error.ts";
import {
  type ApiAccess,
  exchange,
  formatRequestName,
  type Outgoing,
  readText,
  tlsOptions,
  withQuery,
} from "./exchange.ts";
import { type Answer, type Listed, type ListOptions, listPages } from "./list-pages.ts";
import { openSocket, type StreamProtocol } from "./socket.ts";

export type PatchKind = "merge" | "strategic-merge";

/**
 * Client of an API server. Each call ends by its deadline, throws `ApiRefused` for an error status and `ApiUnreachable`
 * without a complete answer. Calls must be idempotent: the client retries 429, quota conflicts, and calls on a
 * connection that the server had just closed.
 */
export interface ApiClient {
  /** Returns the deadline of a call that starts now. Several calls may share it. */
  deadline(): AbortSignal;
  get<Body>(path: string): Promise<Body>;
  /** Returns undefined if the API server answers that the object does not exist. */
  find<Body>(path: string, deadline?: AbortSignal): Promise<Body | undefined>;
  /** Reads all pages and collects what `keep` returns for each item. Throws if a page fails. */
  list<Item, Kept>(
    path: string,
    keep: (item: Item) => readonly Kept[],
    options?: ListOptions<Kept>,
  ): Promise<Listed<Kept>>;
  create<Body>(path: string, body: object, deadline?: AbortSignal): Promise<Body>;
  /** Server-side apply with one field manager, which takes over the fields of others. */
  apply<Body>(path: string, body: object, deadline?: AbortSignal): Promise<Body>;
  patch<Body>(path: string, body: object, kind?: PatchKind): Promise<Body>;
  /** Deletes an object. Does nothing if it is gone or was replaced. */
  remove(path: string, options: RemoveOptions): Promise<void>;
  /** Opens a reply to read as a stream, such as a log or a watch. The deadline covers only its start. */
  open(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** Opens a stream of a pod, paused: add listeners, then resume it. The deadline covers only its start. */
  socket(path: string, protocol: StreamProtocol): Promise<WebSocket>;
  close(): void;
}

export interface RemoveOptions {
  /** undefined deletes any object of that name. */
  readonly uid: string | undefined;
  /** Deletes only this version. Throws `ApiRefused` (`Conflict`) if it has changed. */
  readonly resourceVersion?: string;
  readonly graceSeconds?: number;
}

const deadlineMs = 5_000;
/** Deadline of a call that only checks whether the server answers. */
const peekMs = 2_000;
/** Limit of an answer. etcd stores objects of up to 1.5 MiB (`--max-request-bytes`), so 40 of the largest fit. */
const mostBytes = 64 * 1024 ** 2;
export const fieldManager = "berth";

export function apiClient(access: ApiAccess): ApiClient {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 32, ...tlsOptions(access) });
  const { mostBytes: most = mostBytes } = access;
  const limit = () => AbortSignal.timeout(access.deadlineMs ?? deadlineMs);
  let answers = 0;
  const answerTo = async <Body>(outgoing: Outgoing, deadline: AbortSignal): Promise<Answer<Body>> => {
    const response = await exchange({ access, agent, deadline }, outgoing, deadline);
    answers += 1;
    const text = await readText(response, formatRequestName(outgoing), deadline, most);
    return { body: parsed<Body>(text, formatRequestName(outgoing)), bytes: text.length };
  };
  const call = async <Body>(outgoing: Outgoing, deadline = limit()) => (await answerTo<Body>(outgoing, deadline)).body;
  const get = <Body>(path: string) => call<Body>({ method: "GET", path });
  return {
    deadline: limit,
    get,
    find: async <Body>(path: string, deadline?: AbortSignal) =>
      unlessNotFound(call<Body>({ method: "GET", path }, deadline)),
    list: (path, keep, options) => {
      const read = <Body>(page: string, part?: "metadata") =>
        answerTo<Body>({ method: "GET", path: page, ...(part && { accept: metadataOnly }) }, limit());
      const peek = (page: string) => {
        const deadline = AbortSignal.any([limit(), AbortSignal.timeout(peekMs)]);
        return call({ method: "GET", path: page, accept: metadataOnly }, deadline);
      };
      return listPages({ read, peek, answers: () => answers }, path, keep, options);
    },
    create: <Body>(path: string, body: object, deadline = limit()) => {
      const outgoing = { method: "POST", path: withQuery(path, `fieldManager=${fieldManager}`), body } as const;
      return make(deadline, () => call<Body>(outgoing, deadline));
    },
    apply: <Body>(path: string, body: object, deadline = limit()) => {
      // JSON is YAML.
      const type = "application/apply-patch+yaml";
      const query = `fieldManager=${fieldManager}&force=true`;
      const outgoing = { method: "PATCH", path: withQuery(path, query), body, type } as const;
      return make(deadline, () => call<Body>(outgoing, deadline));
    },
    patch: (path, body, kind = "merge") =>
      call({
        method: "PATCH",
        path: withQuery(path, `fieldManager=${fieldManager}-patch`),
        body,
        type: `application/${kind}-patch+json`,
      }),
    remove: (path, options) =>
      unlessGone(call<unknown>({ method: "DELETE", path, body: deleteOptions(options) }), options),
    open: (path, signal) => exchange({ access, agent, deadline: limit() }, { method: "GET", path }, signal),
    socket: (path, protocol) => openSocket(access, path, protocol, limit()),
    close: () => agent.destroy(),
  };
}

/** Requests metadata only (Kubernetes, API concepts). Specs hold commands of up to 16 KiB, and pages 1,000 of them. */
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

const pauseMs = 50;

/** Retries a conflict over a quota (`Operation cannot be fulfilled on resourcequotas`). Such a call created nothing. */
async function make<Body>(deadline: AbortSignal, call: () => Promise<Body>): Promise<Body> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isAnother(error)) throw error;
      await sleep(Math.random() * pauseMs);
      if (deadline.aborted) throw error;
    }
  }
}

/** Parses JSON without the parser's error, which repeats its input. */
function parsed<Body>(text: string, call: string): Body {
  try {
    return JSON.parse(text) as Body;
  } catch {
    throw new ApiUnreachable(call, "not JSON");
  }
}

async function unlessNotFound<Body>(reading: Promise<Body>): Promise<Body | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function unlessGone(removal: Promise<unknown>, { resourceVersion }: RemoveOptions): Promise<void> {
  await removal.catch((error: unknown) => {
    const isDone = isNotFound(error) || (isAnother(error) && resourceVersion === undefined);
    if (!isDone) throw error;
  });
}

/** Sets background propagation: without a policy, deleting a Job would orphan its pods and their GPUs. */
function deleteOptions({ uid, resourceVersion, graceSeconds }: RemoveOptions): object {
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: "Background",
    ...(uid === undefined ? {} : { preconditions: { uid, ...(resourceVersion && { resourceVersion }) } }),
    ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
  };
}
