import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { listSnapshotIds, snapshotData } from "#process/volumes/snapshot-directory.ts";
import { type Measure, median, percentileRows } from "../measure.ts";
import { type LocalStack, until, withStack } from "../server/local-stack.ts";
import { cancelJob, findLogLine, parseTime, submitJob, untilActive, untilOver, wholeNode } from "./jobs.ts";

const rounds = 3;
const wantedBytes = Number(process.env.BERTH_BENCH_DISK_GB ?? 1) * 1e9;
/** Copies of the disk that the file system must hold: the volume, kept snapshots, one in progress, and a reserve. */
const copiesThatFit = 7.5;
const leastBytesPerMs = 20_000;
const disk = "large";
const mostMs = 1_000;

/**
 * Shows whether the backup of a large disk delays the next job on its GPUs: hand-overs with and without a disk, in
 * turns. BERTH_BENCH_DISK_GB sets the size of the disk. The free space limits it.
 */
export const backup: Measure = {
  name: "backup",
  run: () =>
    withStack(`${wholeNode.type}=1`, async (stack) => {
      const { bavail, bsize } = statfsSync(tmpdir());
      const bytes = Math.min(wantedBytes, Math.floor((bavail * bsize) / copiesThatFit));
      await fillDisk(stack, bytes);
      const [withDisk, without, whole]: [number[], number[], number[]] = [[], [], []];
      for (let round = 0; round < rounds; round++) {
        const times = await handOver(stack, { disk_name: disk }, patienceFor(bytes));
        withDisk.push(times.ms);
        whole.push((await times.backedUp()) / 1000);
        without.push((await handOver(stack, {})).ms);
      }
      const size = `${(bytes / 1e9).toFixed(1)} GB`;
      const note = "from the log line after the GPUs were let go to the one after the grant was taken";
      const ratio = {
        value: median(withDisk) / median(without),
        unit: "×",
        note: "of the medians; the copy and the stack share one machine",
      };
      return [
        ...percentileRows(`GPUs freed → next preparing, ${size} disk`, withDisk, { p99: mostMs, note }),
        ...percentileRows("GPUs freed → next preparing, no disk", without, { p99: mostMs }),
        { name: `GPUs freed → next preparing, ${size} disk over none`, ...ratio },
        { name: `GPUs freed → backup of ${size} whole`, value: median(whole), unit: "s", note: `median of ${rounds}` },
      ];
    }),
};

/** Fills the disk with one file of real blocks, so a copy writes all of it unless the file system shares blocks. */
async function fillDisk(stack: LocalStack, bytes: number): Promise<void> {
  const command = `head -c ${bytes} /dev/zero > "$WORKSPACE/file"`;
  const status = await untilOver(
    stack,
    await submitJob(stack, wholeNode.gpus, { command, disk_name: disk }),
    patienceFor(bytes),
  );
  if (status !== "completed") throw new Error(`The job that fills the disk is ${status}`);
}

function patienceFor(bytes: number): number {
  return 15_000 + bytes / leastBytesPerMs;
}

/** Cancels the job that holds all GPUs while another job waits for them. Ends the other job afterwards. */
async function handOver(stack: LocalStack, holds: { readonly disk_name?: string }, patienceMs?: number) {
  const holder = await submitJob(stack, wholeNode.gpus, holds);
  // The disk may still be in the backup of the previous round.
  await untilActive(stack, holder, patienceMs);
  const next = await submitJob(stack, wholeNode.gpus);
  const from = stack.lines.length;
  const knownNames = new Set(listSnapshotIds(stack.home));
  await cancelJob(stack, holder);
  const [free, preparing] = await Promise.all([
    findLogLine(stack, "released", from),
    findLogLine(stack, "took its grant", from),
  ]);
  const backedUp = () => {
    const isWhole = (id: string) => !knownNames.has(id) && snapshotData(stack.home, id) !== undefined;
    return until(
      () => (listSnapshotIds(stack.home).some(isWhole) ? Date.now() - parseTime(free) : undefined),
      patienceMs,
    );
  };
  await cancelJob(stack, next);
  return { ms: parseTime(preparing) - parseTime(free), backedUp };
}
