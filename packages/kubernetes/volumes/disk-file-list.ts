import { gunzipSync } from "node:zlib";
import { MOST_LISTING_BYTES } from "#core/disks/backups/content.ts";
import { listingBlobName } from "#core/disks/listing.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import { findMainStatus } from "../access/start-gate.ts";
import { isSupervised, listFiles, parseExitMessage } from "../access/tools.ts";
import { askPod } from "../exec/supervised-exec.ts";
import { nameOfRun, type RunId } from "../names.ts";
import { listDiskNames, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { isTerminated } from "../status/machine-status.ts";

/** Short, because the run keeps its GPUs during the call. */
const answeredWithinMs = 2_000;

/** Last line of an incomplete list (images/tools/files). */
const leftOut = "The rest is left out\n";

/**
 * Stores the list of a disk's files, before the command ends and again before removal. An ended container left it in
 * its termination message, cut; that does not replace a complete list. Errors are ignored, so that they delay no end.
 */
export async function keepListing(place: ClusterContext, blobs: Blobs, id: RunId, pod: Pod | undefined): Promise<void> {
  if (!pod) return;
  const [claim] = listDiskNames(pod);
  if (claim === undefined || !isSupervised(pod) || pod.metadata.deletionTimestamp !== undefined) return;
  try {
    const listing = await findListing(place, pod);
    if (listing === undefined || (isTerminated(pod) && listing.endsWith(leftOut))) return;
    await blobs.put(listingBlobName(claim), new TextEncoder().encode(`${nameOfRun(id)}\n${listing}`));
  } catch {
    // GET content then reports that the content of the backup is unknown.
  }
}

async function findListing(place: ClusterContext, pod: Pod): Promise<string | undefined> {
  const main = findMainStatus(pod)?.state;
  if (main?.terminated) return unpacked(parseExitMessage(pod, main.terminated.message)?.files);
  const words = listFiles(pod);
  if (!main?.running || !words) return undefined;
  const { exitCode, stdout } = await askPod(place, pod, { words, timeoutMs: answeredWithinMs });
  return exitCode === 0 ? shown(stdout) : undefined;
}

/** Returns undefined if there is no valid list. Any process in the container can forge the message. */
export function unpacked(files: string | undefined): string | undefined {
  if (files === undefined) return undefined;
  try {
    return shown(gunzipSync(Buffer.from(files, "base64"), { maxOutputLength: MOST_LISTING_BYTES }));
  } catch {
    return undefined;
  }
}

/** Replaces control characters by `?`, because they could move a terminal's cursor. */
function shown(bytes: Buffer): string {
  const text = bytes.subarray(0, MOST_LISTING_BYTES).toString();
  return text.replace(/[^\P{Cc}\n]/gu, "?");
}
