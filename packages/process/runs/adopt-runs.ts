import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { removeLimits } from "../sandbox/limits.ts";
import { endSupervisors, forgetSupervisors } from "../supervisor/supervisor-place.ts";
import { noteAccess } from "./access-record.ts";
import { findPlace, type Host } from "./host.ts";
import { readStatus } from "./observation.ts";
import { readRun, writeMark } from "./records.ts";
import { carryOn, endNow, forgetDraft, isDraft, nudge, type RunPlace } from "./removal.ts";
import { discardLeftovers, listRunNames } from "./run-directory.ts";

/** Finishes starts and removals that an earlier process left incomplete. */
export async function adoptRuns({ runs, options }: Host): Promise<void> {
  await discardLeftovers(runs, Date.now());
  forgetSupervisors(options.home);
  for (const name of listRunNames(runs)) {
    const place = { name, directory: join(runs, name), locking: options.locking };
    const [status, record] = [readStatus(place.directory), readRun(place.directory)];
    await carryOn(place, status);
    if (isDraft(status)) await forgetDraft(place);
    if (status.supervisorLives) noteAccess(place.directory);
    if (record && !status.supervisorLives) await removeLimits(record.limits, 0);
  }
}

export async function leaveRuns(host: Host): Promise<void> {
  host.closing = true;
  await Promise.allSettled(host.applying);
}

/** Ends every run within 1.5 s, and marks it as ended by the stack's stop. */
export async function endRuns(host: Host): Promise<void> {
  await leaveRuns(host);
  const places = listRunNames(host.runs).map((name) => findPlace(host, name));
  const living = places.filter(({ directory }) => !readStatus(directory).end);
  for (const { directory } of living) {
    try {
      writeMark(directory, "stopped", Date.now());
    } catch {
      // On a full disk the run still ends, but its record has no reason.
    }
    nudge(directory);
  }
  const end = performance.now() + 900;
  const lives = ({ directory }: RunPlace) => readStatus(directory).supervisorLives;
  while (performance.now() < end && living.some(lives)) await sleep(10);
  await Promise.all(living.filter(lives).map((place) => endNow(place, 200)));
  await endSupervisors(host.options.home, 200);
}
