import type { IncomingMessage } from "node:http";
import type { Actor } from "#core/context.ts";
import { findAddressed, findPageWithLogin } from "#core/environments/record/address-label.ts";
import { isJupyterHost } from "#core/environments/record/jupyter-label.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { isOutage } from "#http/answers/outage.ts";
import { type KeyCheck, keyCheck } from "#http/keys/key-check.ts";
import { withoutKeys } from "#http/request/redaction.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { CHECKED_MS, sharedReads } from "../directory/shared-reads.ts";
import { disabledUser, noKey, notRunning, otherSite, outage, type Page, unknown } from "./ingress-page.ts";
import type { PagePlace } from "./page-connection.ts";

export interface Target {
  readonly actor?: Actor;
  readonly uid: string;
  readonly place: PagePlace;
}

/** It never throws. */
export type Authorize = (incoming: IncomingMessage, host: IngressHost) => Promise<Target | Page>;

/**
 * Authorizes page requests: a key of the environment's owner opens its first HTTP port while it is running. A page
 * with its own password is open to all visitors.
 */
export interface IngressAccess {
  /** Authorizes a request. */
  readonly admit: Authorize;
  /** Authorizes an open WebSocket once more. All of a replica share reads that are at most 5 s old. */
  readonly check: Authorize;
}

/**
 * If connections are bound to their run, a page may be admitted by a read of the last 5 s, because a later run never
 * gets its connection. A refusal needs a newer one, so that a page opens as soon as it runs.
 */
export function ingressAccess(runtime: Runtime<"table">, isBoundToRun: boolean): IngressAccess {
  const { ids, clock, settings, keys, readsKeysOnly } = runtime;
  const key = keyCheck({ table: runtime.ports.table, ids, clock, settings, memory: keys, readsKeysOnly });
  const reads = pageReads(runtime);
  const actors = sharedReads(clock, (presented) => getActor(key, JSON.parse(presented)).catch(asRefusal));
  const findActor: FindActor = (incoming) => actors.read(JSON.stringify(presentedKeys(incoming)), FRESH_MS);
  const decide = (find: FindPages) =>
    guarded(runtime, (incoming, host) => authorize(runtime, findActor, find, incoming, host));
  const [anew, check] = [decide(reads.anew), decide(reads.within(CHECKED_MS))];
  if (!isBoundToRun) return { admit: anew, check };
  const checkAgain = decide(reads.within(FRESH_MS));
  const admit: Authorize = async (incoming, host) => {
    const verdict = await check(incoming, host);
    return "place" in verdict || verdict === outage ? verdict : checkAgain(incoming, host);
  };
  return { admit, check };
}

/** A flood of refused requests, or WebSockets, for one name or with one key costs one read in this time. */
const FRESH_MS = 500;

type FindActor = (incoming: IncomingMessage) => Promise<Actor | HttpError>;

interface FindPages {
  findOwn(owner: string, label: string): Promise<Environment | undefined>;
  findOpen(label: string): Promise<Environment | undefined>;
}

function pageReads(runtime: Runtime<"table">) {
  const { clock } = runtime;
  const own = sharedReads(clock, (name) => {
    const [owner = "", label = ""] = name.split(" ");
    return findAddressed(createContext(runtime), owner, label);
  });
  const open = sharedReads(clock, (label) => findPageWithLogin(createContext(runtime), label));
  const anew: FindPages = {
    findOwn: (owner, label) => own.readAnew(`${owner} ${label}`),
    findOpen: open.readAnew,
  };
  const within = (maxAgeMs: number): FindPages => ({
    findOwn: (owner, label) => own.read(`${owner} ${label}`, maxAgeMs),
    findOpen: (label) => open.read(label, maxAgeMs),
  });
  return { anew, within };
}

/** Answers that the table is away, if it is. */
function guarded({ log }: Runtime<"table">, authorize: Authorize): Authorize {
  return async (incoming, host) => {
    try {
      return await authorize(incoming, host);
    } catch (error) {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error("page failed", { outage: isOutage(error), error: withoutKeys(words) });
      return outage;
    }
  };
}

async function authorize(
  runtime: Runtime<"table">,
  findActor: FindActor,
  { findOwn, findOpen }: FindPages,
  incoming: IncomingMessage,
  host: IngressHost,
): Promise<Target | Page> {
  // Check the key first: it is usually cached, and two reads find its owner's page.
  const actor = await findActor(incoming);
  const isOther = isOtherSite(incoming, host);
  const { label } = host;
  const isOwner = !(actor instanceof HttpError) && !isOther && isLabel(label);
  const own = isOwner ? await findOwn(actor.uid, label) : undefined;
  if (own && isOwner) {
    const target = targetIn(runtime, own);
    return "place" in target ? { ...target, actor } : target;
  }
  const open = isLabel(label) ? await findOpen(label) : undefined;
  if (open) return targetIn(runtime, open);
  if (actor instanceof HttpError) return actor.situation === "disabledUser" ? disabledUser : noKey;
  return isOther ? otherSite : unknown;
}

type PresentedKeys = Readonly<Record<string, string>>;

function presentedKeys({ headers: { authorization, "x-api-key": apiKey } }: IncomingMessage): PresentedKeys {
  const [first] = [apiKey].flat();
  return { ...(authorization !== undefined && { authorization }), ...(first !== undefined && { "x-api-key": first }) };
}

async function getActor(check: KeyCheck, presented: PresentedKeys): Promise<Actor> {
  return check(new Headers(presented), [basicPassword(presented.authorization)]);
}

/** Returns the part after the first colon (RFC 7617). */
function basicPassword(authorization: string | undefined): string | undefined {
  const [, credentials] = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? "") ?? [];
  const text = Buffer.from(credentials ?? "", "base64").toString("utf8");
  return text.includes(":") ? text.slice(text.indexOf(":") + 1) : undefined;
}

/**
 * A browser sends a stored password for requests from any site. It names the site in Origin, which scripts and images
 * lack, and how far it is away in Sec-Fetch-Site. A link of another site may open a page, outside of frames.
 */
function isOtherSite({ headers }: IncomingMessage, { host }: IngressHost): boolean {
  const {
    origin,
    authorization = "",
    "sec-fetch-site": site,
    "sec-fetch-mode": mode,
    "sec-fetch-dest": dest,
  } = headers;
  if (!/^basic /i.test(authorization)) return false;
  const isFromElsewhere = site === "cross-site" || site === "same-site";
  if (isFromElsewhere && !(mode === "navigate" && dest === "document")) return true;
  if (origin === undefined) return false;
  return ![`http://${host}`, `https://${host}`].includes(origin.toLowerCase());
}

/** Returns a refusal, because an open page needs no key. Throws any other error. */
function asRefusal(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  throw error;
}

function targetIn(runtime: Pick<Runtime, "ids">, environment: Environment): Target | Page {
  const {
    phase,
    end: { outcome },
    run: { n: run },
    uid,
  } = environment;
  const page = isJupyterHost(runtime, environment) ? findJupyter(environment) : findHttpPort(environment);
  if (phase !== "active" || outcome || !page) return notRunning(environment);
  return { uid, place: { run: nameOfRun({ uid, run }), ...page } };
}

function findHttpPort({ run }: Environment): Omit<PagePlace, "run"> | undefined {
  const found = run.ports.find(({ kind, address }) => kind === "http" && address !== null);
  return found && { port: found.port, address: found.address };
}

function findJupyter({ access: { jupyter } }: Environment): Omit<PagePlace, "run"> | undefined {
  if (!jupyter?.origin) return undefined;
  const { host, port } = new URL(jupyter.origin);
  return { port: Number(port), address: host, isJupyter: true };
}

export interface IngressHost {
  /** The part before the domain, in lower case. It may have several parts and may match no environment. */
  readonly label: string;
  readonly host: string;
}

export function ingressHosts(domain: string): (incoming: IncomingMessage) => IngressHost | undefined {
  const name = domain.replace(/:\d+$/, "");
  return (incoming) => {
    const [, before, port = ""] = /^(.*?)\.?(:\d{0,5})?$/s.exec(getAuthority(incoming).toLowerCase()) ?? [];
    if (!before?.endsWith(`.${name}`)) return undefined;
    const label = before.slice(0, -name.length - 1);
    return { label, host: `${label}.${name}${port === ":" ? "" : port}` };
  };
}

/** Reports whether the label of a claim holds only valid parts of host names (RFC 1123, 2.1). */
function isLabel(label: string): boolean {
  return label.length <= 200 && /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/.test(label);
}

export function getPath({ url = "/" }: IncomingMessage): string {
  const [, rest] = absolute.exec(url)?.slice(1) ?? [undefined, url];
  return rest?.startsWith("/") ? rest : `/${rest === "*" ? "" : (rest ?? "")}`;
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/is;

/** A target in absolute form overrides the Host header (RFC 9112, 3.2.2). */
function getAuthority({ url = "", headers }: IncomingMessage): string {
  const [, authority = ""] = absolute.exec(url) ?? [];
  return authority.slice(authority.lastIndexOf("@") + 1) || (headers.host ?? "");
}
