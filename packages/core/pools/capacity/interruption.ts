import { type ComputeNode, type InterruptionKind, interruptionKinds } from "../../ports/compute.ts";
import { literal, mark, number, optional, shape } from "../../store/shape.ts";
import { DAY_MS } from "../../units.ts";
import type { NodeLedger } from "../ledger/record.ts";

/** A provider's notice that it takes a machine back, in the machine's ledger item. */
export interface Interruption {
  readonly kind: InterruptionKind;
  /** When it was announced, ms. */
  readonly noticedAt: number;
  /** When the machine is taken back, ms. Absent if unknown. */
  readonly endsAt?: number | undefined;
  /** Set if a listing showed it. It is withdrawn when a listing shows the machine without it. */
  readonly isListed?: true | undefined;
}

export const isInterruption = shape<Interruption>({
  kind: literal(...interruptionKinds),
  noticedAt: number,
  endsAt: optional(number),
  isListed: mark,
});

type Interrupted = Pick<NodeLedger, "interruption">;

/** How long a notice that no listing shows holds. A machine that is still there then was not taken back. */
const NOTICE_MS = DAY_MS;

/** Returns the notice that holds now. Such a machine is granted to no run. */
export function currentInterruption({ interruption }: Interrupted, now: number): Interruption | undefined {
  const isCurrent = interruption && (interruption.isListed || now - interruption.noticedAt < NOTICE_MS);
  return isCurrent ? interruption : undefined;
}

/** Returns the notice to store after a listing that showed this machine. */
export function listedInterruption(
  before: Interrupted | undefined,
  { interruption: kind, takenBackAt }: Pick<ComputeNode, "interruption" | "takenBackAt">,
  now: number,
): Interruption | undefined {
  const stored = before?.interruption;
  if (kind !== undefined)
    return mergeNotices(before ?? {}, { kind, noticedAt: now, endsAt: takenBackAt, isListed: true }, now);
  return stored?.isListed ? undefined : stored;
}

/**
 * Returns the more certain notice, or the earlier one if both are of the same kind: a repeat changes nothing. A time that
 * only the next one has is added, and a listed time may move. A time of EC2's own notice also holds when a listing no
 * longer shows the other.
 */
export function mergeNotices(before: Interrupted, next: Interruption, now: number): Interruption {
  const known = currentInterruption(before, now);
  if (!known || isMoreCertain(next.kind, known.kind)) return next;
  const { kind, endsAt, isListed } = next;
  const hasMoved = known.endsAt === undefined || (known.isListed && known.endsAt !== endsAt);
  const isNews = known.kind === kind && endsAt !== undefined && hasMoved;
  return isNews ? { ...known, endsAt, isListed } : known;
}

export function isMoreCertain(kind: InterruptionKind, other: InterruptionKind): boolean {
  return interruptionKinds.indexOf(kind) > interruptionKinds.indexOf(other);
}
