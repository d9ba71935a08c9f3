import { gunzipSync } from "node:zlib";
import { MOST_LISTING_BYTES } from "#core/disks/backups/content.ts";
import { listingBlobName } from "#core/disks/listing.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import { findLastWords, isSupervised, listFiles } from "../access/tools.ts";
import { askPod } from "../exec/supervised-exec.ts";
import { nameOfRun, type RunId } from "../names.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import { isTerminated } from "../status/machine-status.ts";

/** It keeps the GPUs of a run that is being ended. */
const answeredWithinMs = 2_000;

/** The last line of a list that is not whole (images/tools/files). */
const leftOut = "The rest is left out\n";

/**
 * Keeps the list of the files of a run's disk before its command is ended, and again before the run is removed. A living
 * container is asked; one that has ended said the list in its last words, as much as those hold. A shortened list does
 * not replace the whole one from before the end. A list that cannot be had holds nothing up.
 */
export async function keepListing(place: ClusterContext, blobs: Blobs, id: RunId, pod: Pod | undefined): Promise<void> {
  const [claim] = (pod?.spec.volumes ?? []).flatMap((volume) => volume.persistentVolumeClaim?.claimName ?? []);
  if (!pod || claim === undefined || !isSupervised(pod) || pod.metadata.deletionTimestamp !== undefined) return;
  try {
    const listing = await findListing(place, pod);
    if (listing === undefined || (isTerminated(pod) && listing.endsWith(leftOut))) return;
    await blobs.put(listingBlobName(claim), new TextEncoder().encode(`${nameOfRun(id)}\n${listing}`));
  } catch {
    // The content of that backup is not known then, and GET content says so.
  }
}

async function findListing(place: ClusterContext, pod: Pod): Promise<string | undefined> {
  const main = pod.status?.containerStatuses?.find(({ name }) => name === MAIN)?.state;
  if (main?.terminated) return unpacked(findLastWords(pod, main.terminated.message)?.files);
  const words = listFiles(pod);
  if (!main?.running || !words) return undefined;
  const { exitCode, stdout } = await askPod(place, pod, { words, timeoutMs: answeredWithinMs });
  return exitCode === 0 ? shown(stdout) : undefined;
}

/** undefined: it lists nothing. Whatever runs in a container can write its message. */
export function unpacked(files: string | undefined): string | undefined {
  if (files === undefined) return undefined;
  try {
    return shown(gunzipSync(Buffer.from(files, "base64"), { maxOutputLength: MOST_LISTING_BYTES }));
  } catch {
    return undefined;
  }
}

/** What would move a terminal's cursor is shown as `?`. */
function shown(bytes: Buffer): string {
  const text = bytes.subarray(0, MOST_LISTING_BYTES).toString();
  return text.replace(/[^\P{Cc}\n]/gu, "?");
}
