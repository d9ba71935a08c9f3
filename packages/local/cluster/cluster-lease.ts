import { realpathSync, statSync } from "node:fs";
import { hostname } from "node:os";
import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";
import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { ApiRefused, ApiUnreachable, isAnother, isNotFound } from "#kubernetes/client/api-error.ts";
import { deploymentLabels } from "#kubernetes/names.ts";
import type { KubeObject } from "#kubernetes/objects.ts";

/**
 * A Lease that names the home directory that drives a deployment, because a copy of the home would drive the same
 * runs.
 */
export interface ClusterLease {
  /** Renews the lease when due. Throws after its release, and if another home has taken over. */
  confirm(): Promise<void>;
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly deployment: string;
  readonly home: string;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  readonly signal: AbortSignal;
}

/** A stack confirms its lease whenever it lists the machines. */
const confirmedEveryMs = 60_000;
const heldForMs = 3 * confirmedEveryMs;
/** Time for the holder to renew after an outage of the API server, even if its first try hangs. */
const renewsWithinMs = 2 * confirmedEveryMs;
const heldForMinutes = heldForMs / 60_000;
const renewedEveryMs = 30_000;
const readEveryMs = 10_000;
const mostTries = 5;

/**
 * Takes the lease. Throws an error for the user if another home holds it.
 * The holder is a directory, not a process: a killed stack restarts at once, and a lock keeps two stacks out of one
 * directory (home.ts). An expired lease is taken only after it has stayed unwritten for its whole duration by this
 * process's clock, because the holder's clock may be wrong.
 */
export async function takeLease(options: LeaseOptions): Promise<ClusterLease> {
  const { home, clock } = options;
  const holder = ownHolder(home);
  let renewing: Promise<void> | undefined;
  let ended: Error | undefined;
  const requireOwn = (found: Lease) => {
    if (holderIn(found) === holder) return;
    ended = new Error(`${nameOther(found)} has taken over the environments of ${home}.\nStop this one.`);
    throw ended;
  };
  const expired = await waitForOther(options, holder);
  let written = await write(options, holder, (found) => {
    if (isOthers(found, holder) && !isSame(found, expired)) throw inUseError(found, home);
  });
  let renewedAt = clock.now();
  // Without a lease no call is sent. The caller must not mistake the lease's 404 or 409 for the answer to its own
  // call.
  const notAsked = (error: unknown): never => {
    throw error instanceof ApiRefused ? new ApiUnreachable("lease", String(error.status)) : error;
  };
  const renew = async () => {
    const at = clock.now();
    written = await write(options, holder, requireOwn, written);
    renewedAt = at;
  };
  return {
    async confirm() {
      if (!ended && Math.abs(clock.now() - renewedAt) >= renewedEveryMs) {
        renewing ??= renew()
          .catch(notAsked)
          .finally(() => {
            renewing = undefined;
          });
        await renewing;
      }
      if (ended) throw ended;
    },
    async release() {
      if (!ended) await write(options, "", requireOwn, written).catch(() => undefined);
      ended ??= new Error("This stack has stopped");
    },
  };
}

interface Lease extends KubeObject {
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string };
}

/** The inode distinguishes a copy in another directory, the host name one on another machine. */
function ownHolder(home: string): string {
  const path = realpathSync(home);
  return `${hostname()}:${path}#${statSync(path).ino}`;
}

function holderIn({ spec }: Lease): string {
  return spec?.holderIdentity ?? "";
}

function isOthers(lease: Lease, ownHolder: string): boolean {
  return holderIn(lease) !== "" && holderIn(lease) !== ownHolder;
}

function isSame({ metadata }: Lease, otherLease: Lease | undefined): boolean {
  return metadata.uid === otherLease?.metadata.uid && metadata.resourceVersion === otherLease.metadata.resourceVersion;
}

/**
 * Waits for another home's lease to stay unwritten for its whole duration and returns it. Returns undefined if no
 * other home holds it.
 */
async function waitForOther(options: LeaseOptions, holder: string): Promise<Lease | undefined> {
  const { client, clock, home, log, signal } = options;
  const { path } = getPlace(options);
  const found = await client.find<Lease>(path);
  if (!found || !isOthers(found, holder)) return undefined;
  if (wasJustRenewed(found, clock.now())) throw inUseError(found, home);
  const otherHolder = nameOther(found);
  log.warn(
    `${otherHolder} drove these environments. This stack takes over after that one is silent for ${heldForMinutes} minutes`,
  );
  let answeredAt = clock.monotonic();
  let watchedUntil = answeredAt + heldForMs;
  // The resource version shows every write, even between two reads. Time without an answer does not count as silence,
  // because the holder could not write either.
  while (answeredAt < watchedUntil) {
    await clock.sleep(readEveryMs, signal);
    if (signal.aborted) throw new Error(`${otherHolder} may still drive the environments of ${home}.`);
    const isSilent = clock.monotonic() - answeredAt >= heldForMs;
    const answer = await readLease(options, isSilent);
    if (!answer) {
      watchedUntil = Math.max(watchedUntil, clock.monotonic() + renewsWithinMs);
      continue;
    }
    const seen = answer.lease;
    if (!seen || !isOthers(seen, holder)) return undefined;
    if (!isSame(seen, found)) throw inUseError(seen, home);
    answeredAt = clock.monotonic();
  }
  return found;
}

/**
 * Reads the lease. Returns undefined for a passing failure of the API server, and throws if it `isSilent` for too
 * long.
 */
async function readLease(
  options: LeaseOptions,
  isSilent: boolean,
): Promise<{ readonly lease: Lease | undefined } | undefined> {
  try {
    return { lease: await options.client.find<Lease>(getPlace(options).path) };
  } catch (error) {
    const passes = error instanceof ApiUnreachable || (error instanceof ApiRefused && error.status >= 500);
    if (isSilent || !passes) throw error;
    options.log.warn("lease not read, retrying", { error: error.message });
    return undefined;
  }
}

/** Decides only whether to refuse at once: it compares the clocks of two machines. */
function wasJustRenewed({ spec }: Lease, now: number): boolean {
  return Math.abs(now - Date.parse(spec?.renewTime ?? "")) < heldForMs;
}

/** Shows only printable ASCII, because any writer in the namespace controls this text. */
function nameOther(lease: Lease): string {
  const place = holderIn(lease).replace(/#\d+$/, "");
  return place === "" ? "Another stack" : `Another stack (${place.replaceAll(/[^ -~]/g, "?").slice(0, 200)})`;
}

function inUseError(lease: Lease, home: string): Error {
  return new Error(
    `${nameOther(lease)} drives the environments of ${home}, and only one may.\n` +
      `Stop that one; where it was killed, or its directory was moved, wait ${heldForMinutes} minutes. ` +
      "To run both, set BERTH_HOME to an empty directory for this one: a copy has the same environments.",
  );
}

/**
 * Writes the lease unless `refuse` throws for the current one. Starts from `written`, our last version, and reads
 * again only after a conflict. Recreates a deleted lease.
 */
async function write(
  options: LeaseOptions,
  holderIdentity: string,
  refuse: (found: Lease) => void,
  written?: Lease,
): Promise<Lease> {
  const { client, clock, deployment } = options;
  const { leases, path } = getPlace(options);
  let found = written ?? (await client.find<Lease>(path));
  for (let tries = 1; ; tries += 1) {
    if (found) refuse(found);
    // Kubernetes' MicroTime has six decimals.
    const renewTime = new Date(clock.now()).toISOString().replace("Z", "000Z");
    const spec = { holderIdentity, leaseDurationSeconds: heldForMs / 1000, renewTime };
    try {
      if (found) return await client.patch<Lease>(path, { metadata: toVersion(found), spec });
      return await client.create<Lease>(leases, leaseObject(deployment, spec));
    } catch (error) {
      if (!isOvertaken(error) || tries === mostTries) throw error;
    }
    found = await client.find<Lease>(path);
  }
}

function getPlace({ namespace, deployment }: LeaseOptions) {
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  return { leases, path: `${leases}/${deployment}` };
}

function toVersion({ metadata: { uid, resourceVersion } }: Lease) {
  return { uid, resourceVersion };
}

function leaseObject(deployment: string, spec: object): object {
  const metadata = { name: deployment, labels: deploymentLabels(deployment) };
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec };
}

function isOvertaken(error: unknown): boolean {
  return isAnother(error) || isNotFound(error) || (error instanceof ApiRefused && error.code === "AlreadyExists");
}
