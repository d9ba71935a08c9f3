import type { Context } from "#core/context.ts";
import { isLoginShape } from "#core/environments/access/login-shape.ts";
import { ENDED_ENTRY_MS, parseSshEntry, type SshEntry } from "#core/environments/access/ssh-entry.ts";
import { hasNoDisk } from "#core/environments/record/disk/disk-use.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { currentNotice } from "#core/environments/steps/notices.ts";
import { keyOfText, sshLoginPartition } from "#core/store/keys.ts";
import { readEach } from "#core/store/readable.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import type { EndedLogin, SshDirectory } from "../ports/directory.ts";
import { CHECKED_MS, type SharedReads, sharedReads } from "./shared-reads.ts";

/** An environment of a login, with the keys that its last run admits. */
export interface Admitting {
  readonly entry: SshEntry;
  readonly environment: Environment;
}

/** A login shows keys and ends that are newer. A flood of logins with one name costs one read in this time. */
const FRESH_MS = 500;

/**
 * Finds environments by SSH user name in the table. It reads each login at most once in `CHECKED_MS` for any number of
 * its open connections, and never writes.
 */
export function tableDirectory(ctx: Context<"table">): SshDirectory {
  const cache = sharedReads(ctx.clock, (login) => readLogin(ctx, login));
  const read = async (login: string) => (isLoginShape(login) ? cache.read(login, FRESH_MS) : []);
  const findRun = (login: string, run: string, maxAgeMs: number) => findEntered(cache, login, run, maxAgeMs);
  return {
    find: async (login) => {
      const all = await read(login);
      return all.filter(isLiving).map(({ entry }) => ({ name: nameOfRun(entry), keys: entry.keys }));
    },
    admits: async ({ run, login }, key) => {
      const entered = await findRun(login, run, CHECKED_MS);
      return entered !== undefined && isLiving(entered) && entered.entry.keys.includes(key);
    },
    findEnded: async (login) => findEnded(await read(login), ctx.clock.now()),
    findNotice: async ({ run, login }, { isReadAnew } = { isReadAnew: false }) => {
      const entered = await findRun(login, run, isReadAnew ? FRESH_MS : CHECKED_MS);
      return entered && currentNotice(entered.environment);
    },
    hasNoDisk: async ({ run, login }) => {
      const entered = await findRun(login, run, CHECKED_MS);
      return entered !== undefined && hasNoDisk(entered.environment);
    },
  };
}

async function findEntered(cache: SharedReads<readonly Admitting[]>, login: string, run: string, maxAgeMs: number) {
  const all = await cache.read(login, maxAgeMs);
  return all.find(({ entry }) => nameOfRun(entry) === run);
}

async function readLogin(ctx: Context<"table">, login: string): Promise<Admitting[]> {
  const { items } = await ctx.table.query({ pk: sshLoginPartition(login) });
  const entries = readEach(ctx, items, parseSshEntry).records;
  if (entries.length === 0) return [];
  const heads = await ctx.table.getMany(entries.flatMap(({ key }) => keyOfText(key) ?? []));
  const environments = readEach(ctx, heads, parseEnvironment).records;
  return entries.flatMap((entry) => {
    const environment = environments.find(({ uid, access }) => uid === entry.uid && access.login === login);
    return environment ? [{ entry, environment }] : [];
  });
}

/** Reports whether the keys belong to the present run, and no end of it is decided. */
function isLiving({ entry, environment: { phase, run, end } }: Admitting): boolean {
  return run.n === entry.run && end.outcome === null && (phase === "preparing" || phase === "active");
}

function findEnded(all: readonly Admitting[], now: number): EndedLogin | undefined {
  const ended = all.flatMap(({ entry: { keys }, environment }): EndedLogin[] => {
    const isOver = isEnded(environment) || environment.phase === "stopped" || environment.phase === "stopping";
    const notice = isOver || environment.end.outcome ? currentNotice(environment) : undefined;
    return notice && now - notice.at <= ENDED_ENTRY_MS ? [{ keys, words: notice.words, at: notice.at }] : [];
  });
  return ended.toSorted((a, b) => b.at - a.at)[0];
}
