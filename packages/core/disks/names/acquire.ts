import type { Context, UserContext } from "../../context.ts";
import { parseEnvironment } from "../../environments/record/parse.ts";
import { type Environment, isEnded, isUndone } from "../../environments/record/record.ts";
import { enter } from "../../environments/record/transitions.ts";
import { Problem } from "../../problem.ts";
import { changeRecord, writeRecord } from "../../store/write-record.ts";
import { createDiskFor, type NewDisk } from "../create.ts";
import { type Disk, findDisk, type Holder, hasPendingSnapshot, zonePinnedBy } from "../record.ts";
import { isReplaceable, replacesVolumes } from "../replaceable.ts";
import { findDiskIn, findMissing, recordMissing } from "../view.ts";
import { readDirectory, refuseTooMany } from "./directory.ts";
import { decideLease, type Holders, type Lease, readHolders } from "./lease.ts";

export interface ProposedLease {
  readonly disk: Disk;
  readonly holder: Holder;
  readonly waits: boolean;
  readonly after: string | undefined;
}

/** Finds or makes the disk and checks the lease, without writing it. Throws `gone` if deleted, `conflict` if in use. */
export async function proposeLease(ctx: UserContext<"table">, input: NewDisk, holder: Holder): Promise<ProposedLease> {
  const disk =
    (await diskNamed(ctx, input.name)) ?? (await createDiskFor(ctx, input)) ?? (await diskNamed(ctx, input.name));
  if (!disk) throw await whyNoDisk(ctx, input.name);
  const holders = (await readHolders(ctx, [disk])).get(disk.uid) ?? nobody;
  const lease = decideLease(disk, holder, holders);
  refuse(lease, input.name);
  const after = holders.current?.id;
  return { disk, holder, waits: after !== undefined || hasPendingSnapshot(disk), after };
}

/** Where jobs with a disk can run. */
export interface DiskPlace {
  /** The zone of its volume; null without one. */
  readonly zone: string | null;
  /** Whether the volume may be made again in another zone. */
  readonly canMove: boolean;
}

/** Returns where the next job with a disk can run. Writes nothing. Throws the same errors as a submit. */
export async function findDiskPlace(ctx: UserContext<"table">, name: string): Promise<DiskPlace> {
  const directory = await readDirectory(ctx, ctx.actor.uid);
  const found = await findDiskIn(ctx, directory, name);
  if (!found) {
    if (await findMissing(ctx, ctx.actor.uid, name)) throw new Problem("conflict", recordMissing(name));
    refuseTooMany([...directory.names, [name, ""]]);
    return { zone: null, canMove: false };
  }
  const { disk } = found;
  const holders = (await readHolders(ctx, [disk])).get(disk.uid) ?? nobody;
  refuse(decideLease(disk, newcomer, holders), name);
  const isFree = disk.heldBy === null && disk.next === null;
  const canMove = replacesVolumes(ctx.settings) && isFree && isReplaceable(disk);
  return { zone: zonePinnedBy(disk.volume), canMove };
}

const nobody: Holders = { current: undefined, following: undefined };
const newcomer: Holder = { uid: "", key: "", id: "" };

async function whyNoDisk(ctx: UserContext<"table">, name: string): Promise<Problem> {
  if (await findMissing(ctx, ctx.actor.uid, name)) return new Problem("conflict", recordMissing(name));
  return new Problem("unavailable", `Disk '${name}' is being made or purged, try again`, { retryAfterSeconds: 1 });
}

async function diskNamed(ctx: UserContext<"table">, name: string): Promise<Disk | undefined> {
  const view = await findDiskIn(ctx, await readDirectory(ctx, ctx.actor.uid), name);
  return view && { ...view.disk, name };
}

const TRIES = 3;

/**
 * Writes the lease of a submit. If another environment has it, hides this one and throws `conflict`. Not by
 * `changeRecord`, because it may change another record.
 */
export async function writeLease(
  ctx: Context<"table">,
  proposed: ProposedLease,
  head: Environment,
): Promise<Environment> {
  const { holder } = proposed;
  let disk: Disk | undefined = proposed.disk;
  for (let tries = 0; disk && tries < TRIES; tries++) {
    const lease = await acquire(ctx, disk, holder);
    if (lease === "changed") {
      disk = await findDisk(ctx, disk.owner, disk.uid);
      continue;
    }
    if (lease.kind === "has" || lease.kind === "takes") return head;
    const now = ctx.clock.now();
    const outcome = { phase: "deleted", reason: "Its disk was taken", at: now } as const;
    const hidden = enter(head, "deleted", now, outcome.reason);
    await writeRecord<Environment>(ctx, {
      ...hidden,
      goal: { ...hidden.goal, desired: "deleted" },
      end: { ...hidden.end, outcome, at: now },
      dueAt: now,
    });
    refuse(lease, proposed.disk.name);
  }
  throw new Problem("unavailable", `Disk '${proposed.disk.name}' is changing too fast, try again`);
}

/**
 * Confirms the lease in the record: without it, a late reader of the disk could call it lost. Throws `conflict` if one
 * did.
 */
export async function confirmLease(ctx: Context<"table">, written: Environment): Promise<void> {
  const confirm = (head: Environment | undefined): Environment | undefined => {
    if (!head?.disk || head.uid !== written.uid || isEnded(head) || isUndone(head)) return undefined;
    return { ...head, disk: { ...head.disk, leased: true } };
  };
  const confirmed = confirm(written);
  // Usually no other write came in between, so the record is read again only after a conflict.
  if (confirmed && (await writeRecord(ctx, confirmed))) return;
  const { record } = await changeRecord(ctx, {
    read: async () => {
      const item = await ctx.table.get(written);
      return item && parseEnvironment(item);
    },
    decide: confirm,
    what: `Disk '${written.disk?.name}' is`,
  });
  if (record) return;
  throw new Problem("conflict", `Disk '${written.disk?.name}' is currently in use`);
}

/** Takes the lease if the holder may have it. Returns `changed` if another writer changed the disk. */
export async function acquire(ctx: Context<"table">, disk: Disk, holder: Holder): Promise<Lease | "changed"> {
  const holders = (await readHolders(ctx, [disk])).get(disk.uid) ?? nobody;
  const lease = decideLease(disk, holder, holders);
  if (lease.kind !== "takes") return lease;
  const taken = await writeRecord(ctx, { ...lease.disk, lastUsedAt: ctx.clock.now() });
  return taken ? lease : "changed";
}

function refuse(lease: Lease, name: string): void {
  if (lease.kind === "gone") throw new Problem("gone", `Disk '${name}' is marked for deletion`);
  if (lease.kind === "inUse") {
    throw new Problem("conflict", `Disk '${name}' is currently in use by reservation ${lease.by}`);
  }
}
