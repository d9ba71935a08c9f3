import type { UserContext } from "../../context.ts";
import type { NewDisk } from "../../disks/create.ts";
import { confirmLease, proposeLease, writeLease } from "../../disks/names/acquire.ts";
import { refuseFullLine } from "../../pools/admission/waiting-limit.ts";
import type { Resources, RunPort } from "../../ports/compute.ts";
import type { Item, Key } from "../../ports/table.ts";
import { Conflict, Problem } from "../../problem.ts";
import { sendLook } from "../../reconciler/look.ts";
import { environmentKey, keyText, poolKey } from "../../store/keys.ts";
import { writeRecord } from "../../store/write-record.ts";
import { emitEvents } from "../../webhooks/outbox.ts";
import { sealReceiver } from "../../webhooks/receiver.ts";
import { KEY_REFUSED, ownKeys } from "../access/ssh-keys.ts";
import { claimLabel, confirmLabel, releaseLabel } from "../record/address-label.ts";
import { newAccess } from "../record/changes/access.ts";
import type { OwnVolume } from "../record/disk/disk-use.ts";
import { parseEnvironment } from "../record/parse.ts";
import type { Policy } from "../record/policy.ts";
import { type Environment, isUndone, type Size } from "../record/record.ts";
import { forgetSpec, writeSpec } from "../record/spec.ts";
import { decideEnd, enter } from "../record/transitions.ts";
import { NET_MS, newHead } from "./new-head.ts";
import { replaceSuperseded } from "./superseded.ts";

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
  /** The user name by which SSH finds it; its id unless said. */
  readonly login?: string | undefined;
  /** The GitHub user whose SSH keys open it once it is active. */
  readonly guest?: string | undefined;
  /** Public SSH keys that open its runs, one each; what is none is left out, and its timeline says so. */
  readonly sshKeys?: readonly string[] | undefined;
  /** Whether Jupyter is wanted from the start. */
  readonly jupyter?: boolean | undefined;
  /** A named disk; made with the environment when there is none of that name. */
  readonly disk?: NewDisk | undefined;
  /** How it lives: a reservation unless said. */
  readonly policy?: Policy | undefined;
  /** Volumes of its own, made with its first run and removed with it. */
  readonly volumes?: readonly Omit<OwnVolume, "volume">[] | undefined;
  readonly ports?: readonly RunPort[] | undefined;
  /** Its part of a shared machine, at most what its size says. */
  readonly resources?: Resources | undefined;
  /** Where its events go: a URL that was checked. */
  readonly receiver?: string | undefined;
  /** The reason of the first entry of its timeline. */
  readonly note?: string | undefined;
  /** Its part of a host name, which nobody else may have at the same time. */
  readonly addressLabel?: string | undefined;
}

/**
 * Writes spec, then head, in place of a deleted one of this id, then the lease of its disk, and sends one look at the
 * pool that names it (docs/architecture/consistency.md). Throws `Conflict` when the id or its host label is
 * taken, `conflict` when its disk is in use, `gone` when that is marked for deletion, `quota` when too many of the
 * caller's wait for its pool.
 */
export async function createEnvironment(
  ctx: UserContext<"table" | "queue" | "sealer">,
  asked: NewEnvironment,
): Promise<Environment> {
  const { keys: sshKeys, areAllUsable } = ownKeys(asked.sshKeys);
  const input = { ...asked, sshKeys };
  const key = environmentKey(ctx.actor.uid, ctx.dialect, input.id);
  const uid = input.uid ?? ctx.ids.uid();
  if (input.isRepeat && (await ctx.table.get(key))?.uid === uid) return madeBefore(ctx, key, input, uid);
  await refuseFullLine(ctx, input.size.pool);
  const lease = input.disk && (await proposeLease(ctx, input.disk, { uid, key: keyText(key), id: input.id }));
  const { login = input.id, guest, jupyter = false } = input;
  const note = areAllUsable ? (input.note ?? null) : KEY_REFUSED;
  const access = await newAccess(ctx, key, { login, guest, jupyter, keyed: sshKeys.length > 0 });
  const receiver = input.receiver === undefined ? null : await sealReceiver(ctx, key, input.receiver);
  const wanted = newHead(ctx, key, input, { uid, access, receiver, note }, lease);
  const claimedAt = ctx.clock.now();
  if (input.addressLabel !== undefined) await claimLabel(ctx, input.addressLabel, uid, key);
  await writeSpec(ctx, key, { uid, spec: uid }, input);
  const head = (await writeRecord(ctx, wanted)) ?? (await replaceSuperseded(ctx, wanted));
  if (!head) return madeBefore(ctx, key, input, uid);
  if (input.addressLabel !== undefined) await keepLabel(ctx, input.addressLabel, head, claimedAt);
  if (lease) await confirmLease(ctx, await writeLease(ctx, lease, head));
  if (lease?.waits) await sendLook(ctx, key, { delayMs: NET_MS });
  else await sendLook(ctx, poolKey(input.size.pool), { for: [keyText(key)] });
  await tellFirst(ctx, head);
  return head;
}

/**
 * What its receiver hears first goes out with the create: while it waits for capacity, nobody else looks at it before
 * the sweep. The cursor is moved by its next look, which finds the delivery there, or makes it where this failed: the
 * environment is there, and who heard an error would ask for a second one.
 */
async function tellFirst(ctx: UserContext<"table" | "queue">, head: Environment): Promise<void> {
  try {
    const { deliveries } = await emitEvents(ctx, head, ctx.clock.now());
    for (const delivery of deliveries) await sendLook(ctx, delivery);
  } catch (error) {
    ctx.log.warn("receiver told by the next look", { look: keyText(head), error: String(error) });
  }
}

/**
 * Throws `Conflict` where another environment has its host label by now: then it becomes invisible, and is cleared
 * away.
 */
async function keepLabel(
  ctx: UserContext<"table">,
  label: string,
  head: Environment,
  claimedAt: number,
): Promise<void> {
  try {
    await confirmLabel(ctx, label, head, claimedAt);
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
    const now = ctx.clock.now();
    const reason = "Its host name was taken";
    const hidden = enter(decideEnd(head, { phase: "deleted", reason, at: now }), "deleted", now, reason);
    await writeRecord<Environment>(ctx, { ...hidden, end: { ...hidden.end, at: now }, dueAt: now });
    throw error;
  }
}

/**
 * Throws `Conflict` when what is there is another environment, `Unreadable` when nobody knows; nothing of this one is
 * left then.
 */
async function requireOwn(
  ctx: UserContext<"table">,
  key: Key,
  { addressLabel }: NewEnvironment,
  uid: string,
): Promise<Item> {
  const item = await ctx.table.get(key);
  if (item?.uid === uid) return item;
  if (addressLabel !== undefined) await releaseLabel(ctx, addressLabel, uid);
  await forgetSpec(ctx, key, uid);
  if (item) parseEnvironment(item);
  throw new Conflict(keyText(key));
}

/** A create that is repeated finds what it made, however far that has come; a lease not yet written is reconcile's. */
async function madeBefore(
  ctx: UserContext<"table" | "queue">,
  key: Key,
  input: NewEnvironment,
  uid: string,
): Promise<Environment> {
  const made = parseEnvironment(await requireOwn(ctx, key, input, uid));
  // Written again by one that slept until its environment was over, or had been started with another one.
  if (made.spec !== uid) await forgetSpec(ctx, key, uid);
  if (isUndone(made)) {
    if (!made.disk) throw new Problem("conflict", `The ${ctx.noun} was deleted meanwhile`);
    // It never ran: somebody else had its disk.
    throw new Problem("conflict", `Disk '${made.disk.name}' is currently in use`, { isUndone: true });
  }
  await sendLook(ctx, poolKey(input.size.pool), { for: [keyText(key)] });
  return made;
}
