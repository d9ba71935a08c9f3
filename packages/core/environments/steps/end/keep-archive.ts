import type { Archive } from "../../../ports/volumes.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { archivesPartition } from "../../../store/keys.ts";
import { unlessUnreadable } from "../../../store/readable.ts";
import { changeRecord, writeRecord } from "../../../store/write-record.ts";
import { findStored, type StoredArchive } from "../../record/disk/archives.ts";
import type { ArchiveUse } from "../../record/end.ts";
import type { Environment } from "../../record/record.ts";
import { changed, waited } from "../../record/step-result.ts";
import { addEntry } from "../../record/timeline.ts";
import { areAttached, detachOwn, endArchive, toArchiveOwner } from "../start/own-volumes.ts";

/** A late backup does not delay a deletion (docs/apis/session-manager.md#effects-and-times). */
const LONGEST_MS = 60_000;

/** Makes the zip, for a minute at most. Returns undefined once it is settled, with or without a zip. */
export async function keepArchive(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    end: { archive },
    policy,
    volumes,
  } = environment;
  const ownVolume = volumes.find(({ name }) => name === policy.archives);
  if (!archive || archive.settled || !ownVolume?.volume) return undefined;
  const noting = (use: ArchiveUse) => ({ ...environment, end: { ...environment.end, archive: use } });
  if (archive.startedAt === null) {
    // Name the archive first: if the worker or its machine is lost, the record still says what may use the volume.
    if (!archive.named) return changed(noting({ ...archive, named: true }), now, "names its archive");
    // Begin before the minute starts, so that a late reconcile does not find that no try was made.
    await begin(ctx, environment, ownVolume.volume.id, archive.blob);
    return changed(noting({ ...archive, startedAt: now }), now, "keeps an archive");
  }
  const isLate = now - archive.startedAt >= LONGEST_MS;
  // Do not begin a late archive again: it may have been forgotten by now.
  const status = isLate ? undefined : await begin(ctx, environment, ownVolume.volume.id, archive.blob);
  if (!isLate && (await isUnderWay(ctx, ownVolume.volume.id, status))) {
    return waited(environment, now, "waits for its archive");
  }
  await endArchive(ctx, environment);
  // An archive that was told to end may still send the last of a complete zip, until the volume is detached.
  const held = isLate ? await detachOwn(ctx, environment, now) : undefined;
  if (held) return held;
  // A missing answer is not proof that the archive is missing.
  const found = await ctx.volumes.findArchive(archive.blob);
  const isWhole = found?.state === "completed";
  const state = isWhole ? "completed" : status ? "failed" : "late";
  const bytes = isWhole ? found.bytes : 0;
  await record(ctx, environment, archive, { state, bytes, at: now });
  const settled = noting({ ...archive, settled: true });
  const note = state === "failed" ? "could not be made" : "was not made in time";
  const noted = state === "completed" ? settled : addEntry(settled, now, `The archive of its volume ${note}`);
  return changed(noted, now, `archive ${state}`);
}

/** Reports whether the archive is unfinished. A failed archive is, until its volume is detached. */
async function isUnderWay(ctx: WorkerContext, volume: string, status: Archive | undefined): Promise<boolean> {
  if (status?.state === "failed") return await areAttached(ctx, [volume]);
  return status?.state !== "completed";
}

async function begin(
  ctx: WorkerContext,
  environment: Environment,
  volume: string,
  blob: string,
): Promise<Archive | undefined> {
  try {
    await ctx.volumes.startArchive(volume, blob, toArchiveOwner(environment));
    return await ctx.volumes.findArchive(blob);
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("archive not begun", { blob, error: String(error) });
    return undefined;
  }
}

/** Writes the archive's record. Only a complete zip replaces an earlier one. */
async function record(
  ctx: WorkerContext,
  { id, uid, owner }: Environment,
  { blob, file }: ArchiveUse,
  fields: Pick<StoredArchive, "state" | "bytes" | "at">,
): Promise<void> {
  const item: StoredArchive = {
    pk: archivesPartition(owner),
    sk: file,
    writers: [],
    kind: "archive",
    uid,
    environment: id,
    blob,
    ...fields,
  };
  if (await writeRecord(ctx, item)) return;
  await changeRecord(ctx, {
    read: () => unlessUnreadable(ctx, () => findStored(ctx, item)),
    decide(knownStoredArchive): StoredArchive | undefined {
      const isOvertaken =
        knownStoredArchive?.uid === uid && knownStoredArchive.state !== "completed" && fields.state === "completed";
      return isOvertaken ? { ...knownStoredArchive, blob, ...fields } : undefined;
    },
    what: `The archive ${file} is`,
  });
}
