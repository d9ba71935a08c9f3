import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Access, Notice, RunRef } from "#core/ports/compute.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { nameOfRun, type RunId } from "#kubernetes/names.ts";
import { type EndedLogin, findEndedLogin, noteEndedLogin } from "#process/exec/notices.ts";
import { replaceFile } from "../home/secret-file.ts";

interface KeptEntry {
  readonly access: Pick<Access, "revision" | "login" | "keys"> | null;
  /** Host port by container port. */
  readonly ports: Readonly<Record<string, number>>;
  readonly hasNoDisk?: boolean | undefined;
}

export interface Entry {
  readonly id: RunId;
  kept: KeptEntry;
  isOver: boolean;
  readonly sessions: Set<PodSession>;
  /** Open connections of pages, and those of the last minutes. */
  readonly pages: Set<object>;
  notice?: Notice;
}

export interface ClusterEntries {
  find(name: string): Entry | undefined;
  all(): readonly Entry[];
  of(id: RunId): Entry;
  keep(entry: Entry, changes: Partial<KeptEntry>): void;
  /** Remembers the admitted keys, so that their owners can read why the run ended. */
  noteEnd(entry: Entry, end: Notice): void;
  findEnded(login: string): EndedLogin | undefined;
  forget(id: RunId): void;
  keepOnly(runs: readonly RunRef[]): void;
}

const nothing: KeptEntry = { access: null, ports: {} };

export function clusterEntries(home: string): ClusterEntries {
  const directory = join(home, "cluster-runs");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const formatFile = (id: RunId) => join(directory, `${nameOfRun(id)}.json`);
  const knownEntries = new Map<string, Entry>();
  const add = (id: RunId, kept: KeptEntry): Entry => {
    const entry: Entry = { id, kept, isOver: false, sessions: new Set(), pages: new Set() };
    knownEntries.set(nameOfRun(id), entry);
    return entry;
  };
  for (const id of namesIn(directory)) add(id, readKept(formatFile(id)));
  const forget = (id: RunId) => {
    knownEntries.delete(nameOfRun(id));
    rmSync(formatFile(id), { force: true });
  };
  return {
    find: (name) => knownEntries.get(name),
    all: () => [...knownEntries.values()],
    of: (id) => knownEntries.get(nameOfRun(id)) ?? add(id, nothing),
    keep: (entry, changes) => {
      entry.kept = { ...entry.kept, ...changes };
      replaceFile(formatFile(entry.id), JSON.stringify(entry.kept));
    },
    noteEnd: ({ kept: { access } }, end) => void (access && noteEndedLogin(home, access, end)),
    findEnded: (login) => findEndedLogin(home, login, Date.now()),
    forget,
    keepOnly: (runs) => {
      const there = new Set(runs.map(nameOfRun));
      for (const { id } of [...knownEntries.values()]) if (!there.has(nameOfRun(id))) forget(id);
    },
  };
}

function namesIn(directory: string): RunId[] {
  return readdirSync(directory).flatMap((file) => {
    const [, uid, run] = /^([0-9a-f]{32})-r([1-9]\d{0,5})\.json$/.exec(file) ?? [];
    return uid === undefined ? [] : [{ uid, run: Number(run) }];
  });
}

function readKept(path: string): KeptEntry {
  return JSON.parse(readFileSync(path, "utf8")) as KeptEntry;
}
