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
 * Requests to an API server. Every call ends by its deadline, throws `ApiRefused` for whatever is no success and
 * `ApiUnreachable` where there was no whole answer. What the server refused for now (429), what it could not count, and what was sent on a
 * connection that it had just closed is sent again within the deadline: every call may be repeated.
 */
export interface ApiClient {
  /** As late as one call that begins now may end: given to several calls, they all end by it. */
  deadline(): AbortSignal;
  get<Body>(path: string): Promise<Body>;
  /** undefined: the API server says that there is no such object. */
  find<Body>(path: string, deadline?: AbortSignal): Promise<Body | undefined>;
  /** Every page of a list, or nothing: what `keep` makes of each item. */
  list<Item, Kept>(
    path: string,
    keep: (item: Item) => readonly Kept[],
    options?: ListOptions<Kept>,
  ): Promise<Listed<Kept>>;
  create<Body>(path: string, body: object, deadline?: AbortSignal): Promise<Body>;
  /** Server-side apply under one field manager, whatever others have set. */
  apply<Body>(path: string, body: object, deadline?: AbortSignal): Promise<Body>;
  patch<Body>(path: string, body: object, kind?: PatchKind): Promise<Body>;
  /** Nothing happens when it is gone, or is another object of that name. */
  remove(path: string, options: RemoveOptions): Promise<void>;
  /** A reply that is read as it comes: a log, a watch. The deadline holds until it begins. */
  open(path: string, signal: AbortSignal, part?: "metadata"): Promise<IncomingMessage>;
  /** Opens a stream of a pod, paused: the caller listens, then resumes it. The deadline holds until it is open. */
  socket(path: string, protocol: StreamProtocol): Promise<WebSocket>;
  close(): void;
}

export interface RemoveOptions {
  /** Of the object that is meant; undefined: whichever has the name. */
  readonly uid: string | undefined;
  /** Only as it was read then: throws `ApiRefused` (`Conflict`) where it has changed or is another. */
  readonly resourceVersion?: string;
  readonly graceSeconds?: number;
}

const deadlineMs = 5_000;
/** A call that only shows whether the server lives: what is away costs little more than one deadline. */
const peekMs = 2_000;
/** The store takes objects of 1.5 MiB (etcd, `--max-request-bytes`): a page with more than 40 of such is too long. */
const mostBytes = 64 * 1024 ** 2;
const fieldManager = "berth";

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
    remove: async (path, options) => {
      const removal = call<unknown>({ method: "DELETE", path, body: deleteOptions(options) });
      await removal.catch((error: unknown) => {
        const isDone = isNotFound(error) || (isAnother(error) && options.resourceVersion === undefined);
        if (!isDone) throw error;
      });
    },
    open: (path, signal, part) => {
      const deadline = limit();
      const outgoing = { method: "GET", path, ...(part && { accept: metadataOfEach }) } as const;
      return exchange({ access, agent, deadline }, outgoing, signal);
    },
    socket: (path, protocol) => openSocket(access, path, protocol, limit()),
    close: () => agent.destroy(),
  };
}

/** A spec may have a command of 16 KiB, and a page a thousand of them (Kubernetes, API concepts, "Metadata-only fetches"). */
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

const metadataOfEach = metadataOnly.replace("MetadataList", "Metadata");

/** How long another one that is made at the same moment is let go first, at most. */
const pauseMs = 50;

/**
 * What counts against a quota writes the count as it is made, and is refused where another one wrote it meanwhile
 * (`Operation cannot be fulfilled on resourcequotas`): nothing was made then.
 */
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

/** Without the parser's own error, which repeats what it read. */
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

/** Without a policy the pods of a Job would go on without it, and their GPUs with them. */
function deleteOptions({ uid, resourceVersion, graceSeconds }: RemoveOptions): object {
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: "Background",
    ...(uid === undefined ? {} : { preconditions: { uid, ...(resourceVersion && { resourceVersion }) } }),
    ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
  };
}
