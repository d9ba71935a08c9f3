import type { Context } from "../../context.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import { keyOfText, keyText, sshLoginKey } from "../../store/keys.ts";
import { count, uid as isUid, list, number, optional, ordinal, text } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { DAY_MS } from "../../units.ts";
import type { Environment } from "../record/record.ts";

/** The keys that a gateway admits to a run, found by the SSH user name. The head decides whether the run lives. */
export interface SshEntry extends Stored {
  readonly kind: "ssh-entry";
  readonly uid: string;
  /** Key text of the head. */
  readonly key: string;
  readonly run: number;
  readonly revision: number;
  /** Each `<type> <base64>`. */
  readonly keys: readonly string[];
  /** Set at the end of the environment, s since the epoch. */
  readonly ttl?: number | undefined;
}

/** How long owners of admitted keys can read why an environment ended. */
export const ENDED_ENTRY_MS = 7 * DAY_MS;

/** An item must stay below 400 KB. An access has at most 128 KB of fetched keys, and its own are in a spec. */
const MOST_KEY_BYTES = 300 * 1024;

export const parseSshEntry: (item: Item) => SshEntry = createParser(
  "ssh-entry",
  { uid: isUid, key: text, run: ordinal, revision: count, keys: list(text), ttl: optional(number) },
  { "it names no environment": ({ key }) => keyOfText(key) !== undefined },
);

/**
 * Writes the keys of the present access for a gateway, if the deployment has one. Does nothing if a newer access is
 * written already. Throws `Conflict` to retry.
 */
export async function writeSshEntry(
  ctx: Context<"table">,
  environment: Environment,
  keys: readonly string[],
): Promise<void> {
  if (!ctx.settings.sshGateway) return;
  const { access, uid, run } = environment;
  const key = sshLoginKey(access.login, uid);
  const item = await ctx.table.get(key);
  const written = item && parseSshEntry(item);
  if (!written && keys.length === 0) return;
  if (written && isNotOlder(written, environment)) return;
  const entry: SshEntry = {
    ...key,
    writers: written?.writers ?? [],
    kind: "ssh-entry",
    uid,
    key: keyText(environment),
    run: run.n,
    revision: access.revision,
    keys: fitting(keys),
  };
  if (!(await writeRecord(ctx, entry))) throw new Conflict(`SSH entry of ${uid}`);
}

function isNotOlder({ run, revision, ttl }: SshEntry, environment: Environment): boolean {
  if (ttl !== undefined || run !== environment.run.n) return ttl === undefined && run > environment.run.n;
  return revision >= environment.access.revision;
}

function fitting(keys: readonly string[]): string[] {
  let bytes = 0;
  return keys.filter((key) => {
    bytes += key.length + 3;
    return bytes <= MOST_KEY_BYTES;
  });
}

/** Lets the entry of an ended environment expire in a week. Idempotent; throws `Conflict` to retry. */
export async function expireSshEntry(ctx: Context<"table">, { access, uid }: Environment): Promise<void> {
  if (!ctx.settings.sshGateway) return;
  const item = await ctx.table.get(sshLoginKey(access.login, uid));
  const entry = item && parseSshEntry(item);
  if (!entry || entry.ttl !== undefined) return;
  const ttl = Math.ceil((ctx.clock.now() + ENDED_ENTRY_MS) / 1000);
  if (!(await writeRecord(ctx, { ...entry, ttl }))) throw new Conflict(`SSH entry of ${uid}`);
}
