import type { Context, Item, UserContext } from "../context.ts";
import { parseDisk } from "../disks/parse.ts";
import { disksOf, keyText } from "../keys.ts";
import { isVolumeMaking } from "../making.ts";
import type { Grant } from "../pools/record.ts";
import { readable } from "../readable.ts";
import { uid as isUid } from "../shape.ts";
import { FORMAT } from "../unreadable.ts";
import { archiveOf } from "./archive.ts";
import { newHead } from "./new-head.ts";
import { environmentTable, isOwnVolume, parseEnvironment } from "./parse.ts";
import { reservation } from "./policy.ts";
import type { DiskUse, Environment, Size } from "./record.ts";
import { addEntry } from "./timeline.ts";

const REASON = "Ended by the operator: its record could not be read";

/**
 * A record that stops, made of what can still be read of one that cannot: every field that is whole stays, every other
 * one is that of a new record. `entry` is what a ledger says of it. What nobody knows is taken for the worse: that
 * something runs, that its disk was written to.
 */
export async function salvage(ctx: Context<"table">, item: Item, entry: Grant | undefined): Promise<Environment> {
  const now = ctx.clock.now();
  const blank = blankOf(ctx, item, entry);
  const whole = Object.entries(environmentTable).filter(
    ([name, check]) => item[name] !== undefined && check(item[name]),
  );
  const kept: Environment = { ...item, ...blank, ...Object.fromEntries(whole.map(([name]) => [name, item[name]])) };
  const { uid, owner, createdBy, id } = blank;
  const known: Environment = { ...kept, uid, owner, createdBy, id, run: entry?.run ?? kept.run, writers: item.writers };
  const disk = whole.some(([name]) => name === "disk") ? known.disk : await findDiskOf(ctx, known);
  const volumes = Array.isArray(item.volumes) ? item.volumes.filter(isOwnVolume) : [];
  const making = Array.isArray(item.making) ? item.making.filter(isVolumeMaking) : [];
  const policy = environmentTable.policy(item.policy)
    ? known.policy
    : { ...reservation, archives: volumes[0]?.name ?? null };
  const held = { ...known, disk, volumes, making, policy };
  const stopping: Environment = {
    ...held,
    ...stopped(held, entry, now),
    archive: held.archive ?? archiveOf(held, now),
    timelineCount: Math.max(held.timelineCount, ...held.timeline.map(({ n }) => n)),
    emitted: Math.min(held.emitted, held.timelineCount),
  };
  return parseEnvironment(addEntry(stopping, now, REASON) as unknown as Item);
}

function stopped({ outcome, grant, applyingAt }: Environment, entry: Grant | undefined, now: number) {
  return {
    desired: "deleted",
    outcome: outcome ?? { phase: "failed", reason: REASON, at: now },
    phase: "stopping",
    step: null,
    reason: REASON,
    grant: entry ? { shares: entry.shares, at: entry.at } : grant,
    applyingAt: applyingAt ?? now,
    noStartSince: null,
    removedAt: null,
    missedAt: null,
    withdrawing: false,
    remembered: null,
    stoppingAt: now,
    endedAt: null,
    looks: 0,
    cleanSince: null,
    cleanLooks: 0,
    attempts: 0,
    fault: null,
    format: FORMAT,
    poisoned: undefined,
    waitPool: undefined,
    waitOrder: undefined,
    ttl: undefined,
    dueAt: now,
  } as const satisfies Partial<Environment> & { format: number; poisoned: undefined };
}

/** A new record under this key: what a field says that cannot be read. */
function blankOf(ctx: Context, item: Item, entry: Grant | undefined): Environment {
  const [, owner = "", , createdBy = ""] = item.pk.split("#");
  const [id = "", formerUid] = item.sk.split("~");
  const actor = { uid: owner, username: "", number: 0, keyPrefix: "", keyHash: "", isAdmin: false };
  const uid = [item.uid, entry?.uid, formerUid].find(isUid) ?? ctx.ids.uid();
  const asOwner: UserContext = { ...ctx, actor, dialect: createdBy, noun: "environment" };
  const input = { id, name: id, labels: {}, size: entry?.size ?? unknownSize, image: "", command: undefined, env: {} };
  const doors = { login: id, guests: [], jupyter: null, keyed: false, revision: 0, told: null };
  const key = { pk: item.pk, sk: item.sk };
  return newHead(asOwner, key, input, { uid, doors, receiver: null, note: null }, undefined);
}

/** Of what holds nothing in any ledger. */
const unknownSize: Size = { pool: "cpu-x86", instanceType: "c7i.8xlarge", machines: 1, units: 1, gpus: 0, wantedMs: 0 };

/** The disk whose lease names this life. */
async function findDiskOf(ctx: Context<"table">, environment: Environment): Promise<DiskUse | null> {
  let after: string | undefined;
  do {
    const query = { pk: disksOf(environment.owner) };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    const disks = readable(
      ctx,
      page.items.filter(({ kind }) => kind === "disk"),
      parseDisk,
    );
    const own = disks.find(({ heldBy, next }) => [heldBy?.uid, next?.uid].includes(environment.uid));
    const isHeld = own?.heldBy?.uid === environment.uid;
    if (own) return { uid: own.uid, name: own.name, leased: true, attached: isHeld, released: false };
    after = page.next;
  } while (after !== undefined);
  ctx.log.info("no disk is leased to it", { look: keyText(environment) });
  return null;
}
