import type { UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import type { Operation } from "../operations.ts";
import type { Disk, DiskSnapshot } from "../record.ts";
import { changeDisk, type OperationRequest } from "../requests.ts";
import { listDisks } from "../view.ts";
import { KEPT_ON_DEMAND } from "./thinning.ts";

/** Limits the snapshots that one user requests at once. Simultaneous requests may exceed it. */
const MOST_REQUESTED = 20;

export interface SnapshotRequested {
  readonly operation: Operation;
  readonly replaces: DiskSnapshot | undefined;
}

/** Requests a snapshot, which a reconcile makes (take-snapshot.ts). Throws `notFound`, `gone` or `conflict`. */
export async function requestSnapshot(
  ctx: UserContext<"table" | "queue">,
  name: string,
  operationRequest?: OperationRequest,
): Promise<SnapshotRequested> {
  const { operation, disk } = await changeDisk(
    ctx,
    { name, action: "snapshot", asked: operationRequest },
    async ({ disk }) => {
      if (disk.phase === "deleted") throw new Problem("gone", `Disk '${name}' is marked for deletion`);
      if (disk.snapshotRequest) throw new Problem("conflict", `A snapshot of disk '${name}' is being made already`);
      if (!disk.volume) throw new Problem("conflict", `Disk '${name}' ${whyNothingToSave(disk)}`);
      await refuseTooMany(ctx);
      return disk;
    },
  );
  return { operation, replaces: disk.snapshotRequest?.operation === operation.id ? replacedBy(disk) : undefined };
}

function whyNothingToSave({ snapshots }: Disk): string {
  return snapshots.length === 0 ? "is empty: no job has used it yet" : "has not changed since its latest backup";
}

async function refuseTooMany(ctx: UserContext<"table">): Promise<void> {
  const requested = (await listDisks(ctx)).filter(({ disk }) => disk.snapshotRequest);
  if (requested.length < MOST_REQUESTED) return;
  const text = `Snapshots of ${requested.length} of your disks are being made already`;
  throw new Problem("conflict", text, { errorCode: "limit" });
}

function replacedBy({ snapshots }: Disk): DiskSnapshot | undefined {
  const kept = snapshots.filter(({ completed, onDemand }) => completed && onDemand);
  return kept.length >= KEPT_ON_DEMAND ? kept.at(-KEPT_ON_DEMAND) : undefined;
}
