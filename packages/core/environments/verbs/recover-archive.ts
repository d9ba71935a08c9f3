import type { Context, UserContext } from "../../context.ts";
import { parseDisk } from "../../disks/parse.ts";
import type { Grant } from "../../pools/ledger/record.ts";
import type { Item } from "../../ports/table.ts";
import { isVolumeMaking } from "../../reconciler/pending-creates.ts";
import { disksPartition, keyText } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { type Check, uid as isUid } from "../../store/shape.ts";
import { FORMAT } from "../../store/unreadable.ts";
import type { DiskUse } from "../record/disk/disk-use.ts";
import { environmentTable, groups, isOwnVolume, parseEnvironment } from "../record/parse.ts";
import { reservation } from "../record/policy.ts";
import type { Environment, Size } from "../record/record.ts";
import { noRun } from "../record/run/run-state.ts";
import { addEntry } from "../record/timeline.ts";
import { findArchive } from "./delete.ts";
import { newHead } from "./new-head.ts";

export const ENDED_UNREADABLE = "Ended by the operator: its record could not be read";

/** Rebuilds a stopping record from an unreadable one. Assumes the worst: that a run exists and wrote to its disk. */
export async function salvage(ctx: Context<"table">, item: Item, named: Grant | undefined): Promise<Environment> {
  const now = ctx.clock.now();
  const blank = createBlank(ctx, item, named);
  const inGroups = Object.entries(groups).map(([group, table]) => [
    group,
    { ...blank[group as keyof typeof groups], ...wholeIn(table, item[group]) },
  ]);
  const kept: Environment = {
    ...Object.fromEntries(Object.entries(item).filter(([name]) => !(name in environmentTable))),
    ...blank,
    ...wholeIn(environmentTable, item),
    ...Object.fromEntries(inGroups),
  };
  const { uid, owner, createdBy, id } = blank;
  // Ignore a ledger entry for an earlier run than the one in the record.
  const entry = named && named.run >= kept.run.n ? named : undefined;
  const run = { ...kept.run, n: entry?.run ?? kept.run.n };
  const knownEnvironment: Environment = { ...kept, uid, owner, createdBy, id, run, writers: item.writers };
  const disk =
    "disk" in wholeIn(environmentTable, item) ? knownEnvironment.disk : await findDisk(ctx, knownEnvironment);
  const volumes = Array.isArray(item.volumes) ? item.volumes.filter(isOwnVolume) : [];
  const making = Array.isArray(item.making) ? item.making.filter(isVolumeMaking) : [];
  const policy = environmentTable.policy(item.policy)
    ? knownEnvironment.policy
    : { ...reservation, archives: volumes[0]?.name ?? null };
  const stopping = stopped({ ...knownEnvironment, disk, volumes, making, policy }, entry, now);
  return parseEnvironment(addEntry(stopping, now, ENDED_UNREADABLE) as unknown as Item);
}

function wholeIn(table: object, value: unknown): Readonly<Record<string, unknown>> {
  const fields = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const checks = Object.entries(table) as [string, Check<unknown>][];
  const whole = checks.filter(([name, check]) => fields[name] !== undefined && check(fields[name]));
  return Object.fromEntries(whole.map(([name]) => [name, fields[name]]));
}

function stopped(held: Environment, entry: Grant | undefined, now: number): Environment {
  const { goal, run, end, events } = held;
  const count = Math.max(events.count, ...events.timeline.map(({ n }) => n));
  const outcome = end.outcome ?? { phase: "failed" as const, reason: ENDED_UNREADABLE, at: now };
  const knownGrant = run.grant?.shares.length ? run.grant : null;
  const grant = entry ? { id: entry.id, shares: entry.shares, at: entry.at } : knownGrant;
  const ledgers = [...new Set([...held.placement.ledgers, ...(entry?.items ?? [])])];
  const stopping = {
    ...held,
    format: FORMAT,
    poisoned: undefined,
    phase: "stopping" as const,
    step: null,
    reason: ENDED_UNREADABLE,
    goal: { ...goal, desired: "deleted" as const, start: null },
    placement: { ...held.placement, ledgers },
    run: { ...run, ...noRun, appliedAt: run.appliedAt, grant, applyingAt: run.applyingAt ?? now },
    events: { ...events, count, emitted: Math.min(events.emitted, events.count) },
    looks: 0,
    attempts: 0,
    fault: null,
    waitPool: undefined,
    waitOrder: undefined,
    ttl: undefined,
    dueAt: now,
  };
  const archive = end.archive ?? findArchive(held, now);
  return { ...stopping, end: { ...end, outcome, archive, at: null, stoppingAt: now, cleanSince: null, cleanLooks: 0 } };
}

function createBlank(ctx: Context, item: Item, entry: Grant | undefined): Environment {
  const [, owner = "", , createdBy = ""] = item.pk.split("#");
  const [id = "", supersededUid] = item.sk.split("~");
  const actor = { uid: owner, username: "", number: 0, keyPrefix: "", keyHash: "", isAdmin: false };
  // The specification is named after its uid; a wrong uid would leave its secrets behind.
  const specUid = typeof item.spec === "string" ? item.spec.slice(0, 32) : "";
  const uid = [item.uid, entry?.uid, supersededUid, specUid].find(isUid) ?? ctx.ids.uid();
  const asOwner: UserContext = { ...ctx, actor, dialect: createdBy, noun: "environment" };
  const input = { id, name: id, labels: {}, size: entry?.size ?? unknownSize, image: "", command: undefined, env: {} };
  const access = { login: id, guests: [], jupyter: null, keyed: false, revision: 0, applied: null };
  const key = { pk: item.pk, sk: item.sk };
  return newHead(asOwner, key, input, { uid, access, receiver: null, note: null }, undefined);
}

const unknownSize: Size = { pool: "cpu-x86", instanceType: "c7i.8xlarge", machines: 1, units: 1, gpus: 0, wantedMs: 0 };

async function findDisk(ctx: Context<"table">, environment: Environment): Promise<DiskUse | null> {
  let after: string | undefined;
  do {
    const query = { pk: disksPartition(environment.owner) };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    const disks = readable(
      ctx,
      page.items.filter(({ kind }) => kind === "disk"),
      parseDisk,
    );
    const ownDisk = disks.find(({ heldBy, next }) => [heldBy?.uid, next?.uid].includes(environment.uid));
    const isHeld = ownDisk?.heldBy?.uid === environment.uid;
    if (ownDisk) return { uid: ownDisk.uid, name: ownDisk.name, leased: true, attached: isHeld, released: false };
    after = page.next;
  } while (after !== undefined);
  ctx.log.info("no disk is leased to it", { look: keyText(environment) });
  return null;
}
