import type { Action } from "#core/environments/record/changes/actions.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import type { TimelineEntry } from "#core/environments/record/timeline.ts";
import type { Item, Stored, Table } from "#core/ports/table.ts";
import { kindOfKey, userKey } from "#core/store/keys.ts";
import { parseUser } from "#core/users/record.ts";
import { clockTime, type Waits } from "./queue-activity.ts";

export interface News {
  readonly at: number;
  /** Owner and name, such as `developer/my-train`. */
  readonly name: string;
  /** A lookup key for the API: the first 8 characters of a UUID, or the whole id. */
  readonly id: string;
  readonly words: string;
  readonly tone: "good" | "bad" | "plain";
}

/**
 * Wraps a table and reports what each write adds to an environment: timeline entries, finished requests and news
 * about its wait. Skips events before `since` (ms).
 */
export function tableWithNews(table: Table, since: number, waits: Waits, tell: (news: News) => void): Table {
  const shown = new Map<string, Shown>();
  const formatName = createNameReader(table);
  let line = Promise.resolve();
  const read = (item: Stored) => {
    const environment = readable(item);
    if (environment) waits.saw(environment);
    else readWaits(waits.newsAfter(item));
    const news = environment ? listNews(environment, toShown(shown, environment, since)) : [];
    if (!environment || news.length === 0) return;
    line = line.then(async () => {
      const name = await formatName(environment);
      for (const each of news) tell({ ...each, name, id: shownId(environment) });
    });
  };
  const readWaits = (found: ReturnType<Waits["newsAfter"]>) => {
    if (!found) return;
    line = line.then(async () => {
      for (const { environment, at, words } of await found) {
        tell({ at, words, tone: "plain", name: await formatName(environment), id: shownId(environment) });
      }
    });
  };
  return {
    ...table,
    async put(item, options) {
      await table.put(item, options);
      read(item);
    },
    async putAll(puts) {
      await table.putAll(puts);
      for (const { item } of puts) read(item);
    },
  };
}

/**
 * Returns a function that formats an environment as `owner/name` and caches owner names. Omits an owner without a
 * readable record.
 */
export function createNameReader(table: Table): (environment: Environment) => Promise<string> {
  const users = new Map<string, string>();
  return async ({ owner, name }) => {
    const knownUser = users.get(owner) ?? (await findUsername(table, owner));
    if (knownUser === undefined) return name;
    users.set(owner, knownUser);
    return `${knownUser}/${name}`;
  };
}

async function findUsername(table: Table, owner: string): Promise<string | undefined> {
  try {
    const item = await table.get(userKey(owner));
    return item && parseUser(item).username;
  } catch {
    return undefined;
  }
}

interface Shown {
  entry: number;
  readonly actions: Set<number>;
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

function shownId({ id }: Environment): string {
  return uuid.test(id) ? id.slice(0, 8) : id;
}

const mostRemembered = 10_000;

function toShown(shown: Map<string, Shown>, { uid, events, requests }: Environment, since: number): Shown {
  const shownBefore = shown.get(uid);
  if (shownBefore) return shownBefore;
  const earlier = events.timeline.filter(({ at }) => at < since).map(({ n }) => n);
  const closed = requests.list.filter(({ completedAt }) => completedAt !== null && completedAt < since);
  const first = { entry: Math.max(0, ...earlier), actions: new Set(closed.map(({ id }) => id)) };
  shown.set(uid, first);
  const [oldest] = shown.keys();
  if (shown.size > mostRemembered && oldest !== undefined) shown.delete(oldest);
  return first;
}

function readable(item: Stored): Environment | undefined {
  if (kindOfKey(item) !== "environment") return undefined;
  try {
    return parseEnvironment(item as Item);
  } catch {
    return undefined;
  }
}

function listNews(environment: Environment, shown: Shown): Omit<News, "name" | "id">[] {
  const { events, requests } = environment;
  const entries = events.timeline.filter(({ n }) => n > shown.entry);
  const closed = requests.list.filter((action) => action.completedAt !== null && !shown.actions.has(action.id));
  shown.entry = Math.max(shown.entry, ...entries.map(({ n }) => n));
  for (const { id } of closed) shown.actions.add(id);
  return [
    ...entries.flatMap((entry) => {
      const sentence = findSentence(environment, entry);
      return sentence ? [{ at: entry.at, ...sentence }] : [];
    }),
    ...closed.filter((action) => isNews(environment, action)).map((action) => toAnswer(environment, action)),
  ];
}

/** Skips cancel requests, because the timeline reports the end, and extensions of an environment that has ended. */
function isNews({ end }: Environment, { kind, status }: Action): boolean {
  return kind !== "cancel" && !(kind === "extend" && status === "done" && end.outcome);
}

type Sentence = Pick<News, "words" | "tone">;

function findSentence(environment: Environment, { n, phase, reason }: TimelineEntry): Sentence | undefined {
  const before = environment.events.timeline.find((entry) => entry.n === n - 1);
  const isOther = before?.phase !== phase;
  const phaseWords = isOther ? [n === 1 ? askedFor(environment) : nowIn(environment, phase)] : [];
  const why = isOther ? whyNow(environment, phase, reason) : reason;
  const words = [...phaseWords, ...(why === null ? [] : [why])];
  if (words.length === 0) return undefined;
  return { words: words.join(": "), tone: isOther ? (tones[phase] ?? "plain") : "plain" };
}

const tones: Readonly<Record<string, News["tone"]>> = { active: "good", completed: "good", failed: "bad" };

/** Omits reasons that are the same every time: how this machine runs the environment, and that it was removed. */
function whyNow({ end }: Environment, phase: Environment["phase"], reason: string | null): string | null {
  if (phase === "active") return null;
  return isEnded({ phase }) ? (phase === "failed" ? (end.outcome?.reason ?? reason) : null) : reason;
}

function nowIn({ times: { endsAt } }: Environment, phase: Environment["phase"]): string {
  return phase === "active" && endsAt !== null ? `active until ${clockTime(endsAt)}` : phase;
}

function askedFor({ size: { gpus, pool, instanceType }, disk }: Environment): string {
  const hardware = gpus > 0 ? `${gpus} ${pool} of ${instanceType}` : instanceType;
  return `queued: ${hardware}${disk ? `, disk ${disk.name}` : ""}`;
}

function toAnswer({ times: { endsAt } }: Environment, action: Action): Sentence & { readonly at: number } {
  const { kind, subject, status, reason, completedAt, requestedAt } = action;
  const at = completedAt ?? requestedAt;
  if (status === "failed") return { at, words: `${tried[kind]} failed: ${reason ?? "unknown"}`, tone: "bad" };
  const until = kind === "extend" && endsAt !== null ? ` until ${clockTime(endsAt)}` : "";
  return { at, words: `${done[kind]}${subject ? ` ${whoIs(subject)}` : ""}${until}`, tone: "plain" };
}

/** Public keys have a subject with a colon, which no GitHub user name can contain. */
function whoIs(subject: string): string {
  return subject.includes(":") ? "a public key" : subject;
}

const tried = {
  cancel: "cancel",
  extend: "extend",
  enable_jupyter: "Jupyter",
  disable_jupyter: "Jupyter",
  add_user: "adding a user",
  resize: "resize",
} as const satisfies Record<Action["kind"], string>;

const done = {
  cancel: "cancelled",
  extend: "extended",
  enable_jupyter: "Jupyter is open",
  disable_jupyter: "Jupyter is closed",
  add_user: "admitted by SSH:",
  resize: "resized",
} as const satisfies Record<Action["kind"], string>;
