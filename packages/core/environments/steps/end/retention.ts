import type { Context } from "../../../context.ts";
import type { Item, Key } from "../../../ports/table.ts";
import { endedKey, supersededKey } from "../../../store/keys.ts";
import { readable } from "../../../store/readable.ts";
import { removeRecord, writeRecord } from "../../../store/write-record.ts";
import { hasEventsToEmit } from "../../../webhooks/outbox.ts";
import { parseEnvironment } from "../../record/parse.ts";
import { MOST_KEPT } from "../../record/read.ts";
import { type Environment, isEnded } from "../../record/record.ts";
import { CHECKS_AFTER_END_MS } from "./finalize.ts";
import { removeCopies } from "./log.ts";

const KEPT_SECONDS = 90 * 24 * 3600;
/** Removals per reconcile. Usually one environment ends and one is removed. */
const MOST_REMOVED = 25;

export function retainedUntil({ end: { at: endedAt }, createdAt }: Environment): number {
  return Math.floor((endedAt ?? createdAt) / 1000) + KEPT_SECONDS;
}

/** Lists ended environments by end, since ids have no order in time. Removes those older than the newest 1,000. */
export async function removeAllButNewest(ctx: Context<"table" | "blobs">, environment: Environment): Promise<void> {
  const {
    owner,
    createdBy,
    uid,
    end: { at: endedAt },
    createdAt,
    sk,
  } = environment;
  const key = endedKey(owner, createdBy, endedAt ?? createdAt, uid);
  await writeRecord(ctx, {
    ...key,
    writers: [],
    kind: "ended",
    head: sk,
    uid,
    ttl: retainedUntil(environment),
  } as Item);
  const newest = { pk: key.pk, newestFirst: true };
  const { items, next } = await ctx.table.query({ ...newest, limit: MOST_KEPT });
  if (next === undefined || items.length < MOST_KEPT) return;
  const older = await ctx.table.query({ ...newest, limit: MOST_REMOVED, after: next });
  for (const item of older.items) await removeEnded(ctx, environment.pk, item);
}

async function removeEnded(ctx: Context<"table" | "blobs">, pk: string, listed: Item): Promise<void> {
  const head: Key = { pk, sk: String(listed.head) };
  const items = await ctx.table.getMany([head, supersededKey(head, String(listed.uid))]);
  const records = readable(ctx, items, parseEnvironment);
  if (records.length < items.length) return;
  const ownEnvironments = records.filter(({ uid }) => uid === listed.uid);
  if (!ownEnvironments.every(isOver)) return;
  for (const record of ownEnvironments) {
    await removeCopies(ctx, record);
    if (!(await removeRecord(ctx, record))) return;
  }
  await removeRecord(ctx, listed);
}

function isOver(environment: Environment): boolean {
  return (
    isEnded(environment) && environment.end.cleanLooks >= CHECKS_AFTER_END_MS.length && !hasEventsToEmit(environment)
  );
}
