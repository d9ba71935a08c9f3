import type { UserContext } from "../../context.ts";
import type { ProposedLease } from "../../disks/names/acquire.ts";
import { zonePinnedBy } from "../../disks/record.ts";
import type { Key } from "../../ports/table.ts";
import { getDueShard } from "../../store/due.ts";
import type { Sealed } from "../../store/sealed.ts";
import { CREATION } from "../record/changes/actions.ts";
import { waitsForDisk } from "../record/disk/disk-use.ts";
import { reservation } from "../record/policy.ts";
import { type Environment, waitingFields } from "../record/record.ts";
import { noRun } from "../record/run/run-state.ts";
import { summarizeSpec } from "../record/spec.ts";
import { addEntry } from "../record/timeline.ts";
import type { NewEnvironment } from "./create.ts";

/** If the message to the pool is lost, the sweep finds the record due after this time. */
export const SAFETY_TIMEOUT_MS = 5_000;

type HeadParts = Pick<Environment, "uid" | "access"> & {
  readonly receiver: Sealed | null;
  readonly note: string | null;
};

const noEnd: Environment["end"] = {
  outcome: null,
  archive: null,
  backup: null,
  at: null,
  stoppingAt: null,
  waitsFor: null,
  alarmedAt: null,
  cleanSince: null,
  cleanLooks: 0,
};

const firstRun: Environment["run"] = {
  n: 1,
  resized: null,
  error: null,
  preparingAt: null,
  startedAt: null,
  leftoversAt: null,
  grant: null,
  ...noRun,
  machines: [],
  address: null,
  ports: [],
  isolation: null,
  limits: null,
};

export function newHead(
  ctx: UserContext,
  key: Key,
  input: NewEnvironment,
  { uid, access, receiver, note }: HeadParts,
  lease: ProposedLease | undefined,
): Environment {
  const now = ctx.clock.now();
  const { policy = reservation } = input;
  const endsAt = policy.time === "creation" ? now + input.size.wantedMs : null;
  const head: Environment = {
    ...key,
    ...(lease?.waits ? {} : waitingFields({ size: input.size, owner: ctx.actor.uid, queuedAt: now, uid })),
    writers: [],
    kind: "environment",
    uid,
    owner: ctx.actor.uid,
    id: input.id,
    createdBy: ctx.dialect,
    name: input.name,
    labels: input.labels,
    goal: { desired: "active", start: null },
    end: noEnd,
    phase: "queued",
    step: null,
    reason: lease?.waits ? waitsForDisk(lease.disk.name, lease.after) : null,
    run: firstRun,
    size: input.size,
    zone: zonePinnedBy(lease?.disk.volume),
    hasCommand: input.command !== undefined,
    about: summarizeSpec(input),
    spec: uid,
    policy,
    ports: input.ports ?? [],
    resources: input.resources ?? null,
    volumes: (input.volumes ?? []).map((volume) => ({ ...volume, volume: null })),
    making: [],
    addressLabel: input.addressLabel ?? null,
    starts: 0,
    times: { firstActiveAt: null, endsAt, warnedMinutes: null },
    events: { receiver: { always: receiver, run: null }, timeline: [], count: 0, emitted: 0 },
    use: { lastUsedAt: null, busyUntil: null, idle: null },
    disk: lease ? unleasedDisk(lease) : null,
    createdAt: now,
    queuedAt: now,
    placement: { withdrawn: null, withdrawals: 0, ledgers: [] },
    access,
    requests: { list: [], count: CREATION },
    looks: 0,
    attempts: 0,
    fault: null,
    dueShard: getDueShard(ctx.ids, key),
    dueAt: now + SAFETY_TIMEOUT_MS,
  };
  return addEntry(head, now, note);
}

function unleasedDisk({ disk: { uid, name } }: ProposedLease): Environment["disk"] {
  return { uid, name, leased: false, attached: false, released: false };
}
