import type { Archive } from "../../../ports/volumes.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/worker.ts";
import { archivesOf } from "../../../store/keys.ts";
import { unlessUnreadable } from "../../../store/readable.ts";
import { changeRecord, writeRecord } from "../../../store/write-record.ts";
import { findStored, type StoredArchive } from "../../record/disk/archives.ts";
import type { ArchiveUse } from "../../record/end.ts";
import type { Environment } from "../../record/record.ts";
import { changed, waited } from "../../record/step-result.ts";
import { addEntry } from "../../record/timeline.ts";
import { areAttached, detachOwn } from "../start/own-volumes.ts";
import { archiveOwnerOf, endArchive } from "./end-archive.ts";

/** docs/apis/session-manager.md#effects-and-times: a backup that is late does not hold up a deletion. */
const LONGEST_MS = 60_000;

/** Has the zip made, for a minute at most; undefined once that is settled, whatever became of it. */
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
  const own = volumes.find(({ name }) => name === policy.archives);
  if (!archive || archive.settled || !own?.volume) return undefined;
  const noting = (use: ArchiveUse) => ({ ...environment, end: { ...environment.end, archive: use } });
  if (archive.startedAt === null) {
    // Whoever begins it may die, and its machine be lost: nobody else would know what has the volume.
    if (!archive.named) return changed(noting({ ...archive, named: true }), now, "names its archive");
    // Begun before its minute: the next look may come later than that, and must not find that nobody has tried.
    await begin(ctx, environment, own.volume.id, archive.blob);
    return changed(noting({ ...archive, startedAt: now }), now, "keeps an archive");
  }
  const isLate = now - archive.startedAt >= LONGEST_MS;
  // One that is late is not begun again: by now nobody may know that it ever was.
  const status = isLate ? undefined : await begin(ctx, environment, own.volume.id, archive.blob);
  if (!isLate && (await isUnderWay(ctx, own.volume.id, status))) {
    return waited(environment, now, "waits for its archive");
  }
  await endArchive(ctx, environment);
  // Told to end it may still send the last of a zip that is whole: until nothing has the volume.
  const held = isLate ? await detachOwn(ctx, environment, now) : undefined;
  if (held) return held;
  // No answer is no word that it is not there.
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

/** One that has failed is, until nothing has its volume. */
async function isUnderWay(ctx: WorkerContext, volume: string, status: Archive | undefined): Promise<boolean> {
  if (status?.state === "failed") return await areAttached(ctx, [volume]);
  return status?.state !== "completed";
}

/** What fails is tried again until it is late; both calls may be repeated. */
async function begin(
  ctx: WorkerContext,
  environment: Environment,
  volume: string,
  blob: string,
): Promise<Archive | undefined> {
  try {
    await ctx.volumes.startArchive(volume, blob, archiveOwnerOf(environment));
    return await ctx.volumes.findArchive(blob);
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("archive not begun", { blob, error: String(error) });
    return undefined;
  }
}

/** What is there stays, but for a zip that was late and is whole after all: an earlier look may have got no further. */
async function record(
  ctx: WorkerContext,
  { id, uid, owner }: Environment,
  { blob, file }: ArchiveUse,
  what: Pick<StoredArchive, "state" | "bytes" | "at">,
): Promise<void> {
  const item: StoredArchive = {
    pk: archivesOf(owner),
    sk: file,
    writers: [],
    kind: "archive",
    uid,
    environment: id,
    blob,
    ...what,
  };
  if (await writeRecord(ctx, item)) return;
  await changeRecord(ctx, {
    read: () => unlessUnreadable(ctx, () => findStored(ctx, item)),
    decide(known): StoredArchive | undefined {
      const isOvertaken = known?.uid === uid && known.state !== "completed" && what.state === "completed";
      return isOvertaken ? { ...known, blob, ...what } : undefined;
    },
    what: `The archive ${file} is`,
  });
}
