import type { Item, Key, UserContext } from "../context.ts";
import { confirmLease, type ProposedLease, proposeLease, writeLease } from "../disks/acquire.ts";
import type { NewDisk } from "../disks/create.ts";
import { dueShardOf } from "../due.ts";
import { environmentKey, keyText, poolKey, specKey } from "../keys.ts";
import { sendLook } from "../look.ts";
import { Conflict, Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { CREATION } from "./actions.ts";
import { waitsForDisk } from "./disk.ts";
import { newDoors } from "./doors.ts";
import { type Environment, type EnvironmentSpec, parseEnvironment, type Size, waitingFields } from "./record.ts";
import { addEntry } from "./timeline.ts";

export interface NewEnvironment {
  /** The wire id, chosen by the dialect; unique for this owner and dialect. */
  readonly id: string;
  /** Chosen with the id where a create may be repeated. */
  readonly uid?: string | undefined;
  /** It may be there already, under this id and uid: then it is left as it is. */
  readonly isRepeat?: boolean | undefined;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly size: Size;
  readonly image: string;
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** The user name at its SSH door; its id unless said. */
  readonly login?: string | undefined;
  /** The GitHub user whose SSH keys open it once it is active. */
  readonly guest?: string | undefined;
  /** Whether Jupyter is wanted from the start. */
  readonly jupyter?: boolean | undefined;
  /** A named disk; made with the environment when there is none of that name. */
  readonly disk?: NewDisk | undefined;
}

/** If the message is lost, this record asks its pool by itself when the sweep finds it due. */
const NET_MS = 5_000;

/**
 * Writes spec, then head, then the lease of its disk, and sends one look at the pool that names it (design section 3).
 * Throws `Conflict` when the id is taken, `conflict` when its disk is in use, `gone` when that is marked for deletion.
 */
export async function createEnvironment(
  ctx: UserContext<"table" | "queue" | "sealer">,
  input: NewEnvironment,
): Promise<Environment> {
  const key = environmentKey(ctx.actor.uid, ctx.dialect, input.id);
  const uid = input.uid ?? ctx.ids.uid();
  if (input.isRepeat && (await ctx.table.get(key))) return madeBefore(ctx, key, input, uid);
  const lease = input.disk && (await proposeLease(ctx, input.disk, { uid, key: keyText(key), id: input.id }));
  const { login = input.id, guest, jupyter = false } = input;
  const doors = await newDoors(ctx, key, { login, guest, jupyter });
  const head = newHead(ctx, key, input, { uid, doors }, lease);
  const spec = specKey(key);
  const secret = JSON.stringify({ command: input.command, env: input.env });
  const written: EnvironmentSpec = {
    ...spec,
    version: 1,
    kind: "spec",
    uid: head.uid,
    image: input.image,
    sealed: await ctx.sealer.seal(secret, keyText(spec)),
  };
  if (!(await putIf(ctx, written, 0))) await requireOwn(ctx, spec, uid);
  if (!(await putIf(ctx, head, 0))) return madeBefore(ctx, key, input, uid);
  if (lease) await confirmLease(ctx, await writeLease(ctx, lease, head));
  if (lease?.waits) await sendLook(ctx, key, { delayMs: NET_MS });
  else await sendLook(ctx, poolKey(input.size.pool), { for: [keyText(key)] });
  return head;
}

/** Throws `Conflict` when what is there belongs to another environment. */
async function requireOwn(ctx: UserContext<"table">, key: Key, uid: string): Promise<Item> {
  const item = await ctx.table.get(key);
  if (item?.uid !== uid) throw new Conflict(keyText(key));
  return item;
}

/** A create that is repeated finds what it made, however far that has come; a lease not yet written is reconcile's. */
async function madeBefore(
  ctx: UserContext<"table" | "queue">,
  key: Key,
  { size }: NewEnvironment,
  uid: string,
): Promise<Environment> {
  const made = parseEnvironment(await requireOwn(ctx, key, uid));
  if (made.phase === "deleted") throw new Problem("conflict", `Disk '${made.disk?.name}' is currently in use`);
  await sendLook(ctx, poolKey(size.pool), { for: [keyText(key)] });
  return made;
}

function newHead(
  ctx: UserContext,
  key: Key,
  input: NewEnvironment,
  { uid, doors }: Pick<Environment, "uid" | "doors">,
  lease: ProposedLease | undefined,
): Environment {
  const now = ctx.clock.now();
  const head: Environment = {
    ...key,
    ...(lease?.waits ? {} : waitingFields({ size: input.size, createdAt: now, uid })),
    version: 1,
    kind: "environment",
    uid,
    owner: ctx.actor.uid,
    id: input.id,
    createdBy: ctx.dialect,
    name: input.name,
    labels: input.labels,
    desired: "active",
    outcome: null,
    phase: "queued",
    step: null,
    reason: lease?.waits ? waitsForDisk(lease.disk.name) : null,
    run: 1,
    size: input.size,
    zone: lease?.disk.volume?.zone ?? null,
    hasCommand: input.command !== undefined,
    disk: lease
      ? { uid: lease.disk.uid, name: lease.disk.name, leased: false, attached: false, released: false }
      : null,
    backup: null,
    createdAt: now,
    preparingAt: null,
    startedAt: null,
    endsAt: null,
    endedAt: null,
    grant: null,
    appliedAt: null,
    withdrawing: false,
    withdrawn: null,
    withdrawals: 0,
    address: null,
    isolation: null,
    doors,
    actions: [],
    actionCount: CREATION,
    timeline: [],
    timelineCount: 0,
    emitted: 0,
    warnedMinutes: null,
    looks: 0,
    cleanSince: null,
    cleanLooks: 0,
    attempts: 0,
    fault: null,
    dueShard: dueShardOf(ctx.ids, key),
    dueAt: now + NET_MS,
  };
  return addEntry(head, now, null);
}
