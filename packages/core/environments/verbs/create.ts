import type { UserContext } from "../../context.ts";
import type { NewDisk } from "../../disks/create.ts";
import { confirmLease, proposeLease, writeLease } from "../../disks/names/acquire.ts";
import { refuseFullLine } from "../../pools/admission/waiting-limit.ts";
import type { RegistryLogin, Resources, RunPort } from "../../ports/compute.ts";
import type { Item, Key } from "../../ports/table.ts";
import { Conflict, Problem } from "../../problem.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
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
import { newHead, SAFETY_TIMEOUT_MS } from "./new-head.ts";
import { replaceSuperseded } from "./superseded.ts";

export interface NewEnvironment {
  /** The wire id, chosen by the dialect. Unique per owner and dialect. */
  readonly id: string;
  /** Set, like the id, by a caller that may repeat the create. */
  readonly uid?: string | undefined;
  /** Whether an environment with this id and uid may exist already; it is then left unchanged. */
  readonly isRepeat?: boolean | undefined;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly size: Size;
  readonly image: string;
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly login?: string | undefined;
  readonly guest?: string | undefined;
  /** Public SSH keys for its runs. Invalid keys are dropped and noted in the timeline. */
  readonly sshKeys?: readonly string[] | undefined;
  /** Sealed with the command and the variables. */
  readonly registryLogin?: RegistryLogin | undefined;
  readonly jupyter?: boolean | undefined;
  readonly disk?: NewDisk | undefined;
  readonly policy?: Policy | undefined;
  readonly volumes?: readonly Omit<OwnVolume, "volume">[] | undefined;
  readonly ports?: readonly RunPort[] | undefined;
  readonly resources?: Resources | undefined;
  /** A checked URL for its events. */
  readonly receiver?: string | undefined;
  readonly note?: string | undefined;
  readonly addressLabel?: string | undefined;
}

/**
 * Writes the specification, the head and the lease, in this order, and requests a reconcile of the pool
 * (docs/architecture/consistency.md). Throws `Conflict` if the id or host label is taken, `conflict` if the disk is in
 * use, `gone` if it is deleted, and `quota` if too many of the caller's environments wait.
 */
export async function createEnvironment(
  ctx: UserContext<"table" | "queue" | "sealer">,
  environment: NewEnvironment,
): Promise<Environment> {
  const { keys: sshKeys, areAllUsable } = ownKeys(environment.sshKeys);
  const input = { ...environment, sshKeys };
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
  if (lease?.waits) await requestReconcile(ctx, key, { delayMs: SAFETY_TIMEOUT_MS });
  else await requestReconcile(ctx, poolKey(input.size.pool), { for: [keyText(key)] });
  await emitInitialEvents(ctx, head);
  return head;
}

/**
 * Sends the first events, because no reconcile may follow before the sweep. A failure is only logged: an error would
 * make the caller create a second environment.
 */
async function emitInitialEvents(ctx: UserContext<"table" | "queue">, head: Environment): Promise<void> {
  try {
    const { deliveries } = await emitEvents(ctx, head, ctx.clock.now());
    for (const delivery of deliveries) await requestReconcile(ctx, delivery);
  } catch (error) {
    ctx.log.warn("receiver told by the next look", { look: keyText(head), error: String(error) });
  }
}

/** Throws `Conflict` if another environment has the host label. The head is then hidden and later removed. */
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

/** Returns the item if it is this environment. Otherwise cleans up and throws `Conflict` or `Unreadable`. */
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

/** Returns the environment of an earlier identical create. If its lease is still missing, reconcile writes it. */
async function madeBefore(
  ctx: UserContext<"table" | "queue">,
  key: Key,
  input: NewEnvironment,
  uid: string,
): Promise<Environment> {
  const made = parseEnvironment(await requireOwn(ctx, key, input, uid));
  // A paused request wrote the specification again, after the environment had ended or started with another one.
  if (made.spec !== uid) await forgetSpec(ctx, key, uid);
  if (isUndone(made)) {
    if (!made.disk) throw new Problem("conflict", `The ${ctx.noun} was deleted in the meantime`);
    throw new Problem("conflict", `Disk '${made.disk.name}' is currently in use`, { isUndone: true });
  }
  await requestReconcile(ctx, poolKey(input.size.pool), { for: [keyText(key)] });
  return made;
}
