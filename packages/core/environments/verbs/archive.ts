import { archivesOf } from "../../keys.ts";
import type { Archive } from "../../ports/volumes.ts";
import { unlessUnreadable } from "../../readable.ts";
import { utcStamp } from "../../utc.ts";
import type { Step, WorkerContext } from "../../worker.ts";
import { changeRecord, writeRecord } from "../../write-record.ts";
import { findStored, type StoredArchive } from "../record/archives.ts";
import { changed, waited } from "../record/pace.ts";
import type { ArchiveUse, Environment } from "../record/record.ts";
import { addEntry } from "../record/timeline.ts";

/** docs/apis/session-manager.md#effects-and-times: a backup that is late does not hold up a deletion. */
const LONGEST_MS = 60_000;

/** The zip that its deletion is to leave; null: its policy keeps none, or there is nothing to be kept. */
export function archiveOf(environment: Environment, now: number, name?: string): ArchiveUse | null {
  const { id, owner, policy, volumes } = environment;
  if (!volumes.some((own) => own.name === policy.archives && own.volume)) return null;
  const file = name ?? `${policy.archives}-${id}-${utcStamp(now)}.zip`;
  const words = file
    .replace(/\.zip$/, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return { blob: `archives/${owner}/${words}`, file, startedAt: null, settled: false };
}

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
  if (archive.startedAt === null) {
    // Begun before its minute: the next look may come later than that, and must not find that nobody has tried.
    await begin(ctx, own.volume.id, archive.blob);
    return changed(
      { ...environment, end: { ...environment.end, archive: { ...archive, startedAt: now } } },
      now,
      "keeps an archive",
    );
  }
  const sight = await begin(ctx, own.volume.id, archive.blob);
  const isLate = now - archive.startedAt >= LONGEST_MS;
  if (!isLate && (!sight || sight.state === "pending")) return waited(environment, now, "waits for its archive");
  const state = sight && sight.state !== "pending" ? sight.state : "late";
  await record(ctx, environment, archive, { state, bytes: sight?.bytes ?? 0, at: now });
  const settled = { ...environment, end: { ...environment.end, archive: { ...archive, settled: true } } };
  const note = state === "failed" ? "could not be made" : "was not made in time";
  const told = state === "completed" ? settled : addEntry(settled, now, `The archive of its volume ${note}`);
  return changed(told, now, `archive ${state}`);
}

/** What fails is tried again until it is late; both calls may be repeated. */
async function begin(ctx: WorkerContext, volume: string, blob: string): Promise<Archive | undefined> {
  try {
    await ctx.volumes.startArchive(volume, blob);
    return await ctx.volumes.findArchive(blob);
  } catch (error) {
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
      return isOvertaken ? { ...item, writers: known.writers } : undefined;
    },
    what: `The archive ${file} is`,
  });
}
