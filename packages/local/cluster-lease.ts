import { realpathSync, statSync } from "node:fs";
import { hostname } from "node:os";
import type { ApiClient } from "#kubernetes/api-client.ts";
import { ApiRefused, isAnother, isNotFound } from "#kubernetes/api-error.ts";
import { deploymentLabels } from "#kubernetes/names.ts";
import type { KubeObject } from "#kubernetes/objects.ts";

/** Says on the cluster that the runs of a deployment are this home's: a copy of the home names the same ones. */
export interface ClusterLease {
  /** Throws in words once another home has it, and after it was released. Renews it where that is due. */
  confirm(): Promise<void>;
  /** The next one need not wait then. Never throws: what is not released ends by itself. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly deployment: string;
  readonly home: string;
  now(): number;
}

/** A stack lists the machines each minute, and confirms it by that. */
const heldForMs = 180_000;
const renewedEveryMs = 30_000;
/** So often in a row somebody else may write it at the same moment. */
const mostTries = 5;

/**
 * Throws in words where another home has it. Its holder is a directory and not a process: a stack that was killed is
 * started again at once, and that no two are in one directory its lock sees to (home.ts).
 */
export async function takeLease(options: LeaseOptions): Promise<ClusterLease> {
  const { home, now } = options;
  const own = holderOf(home);
  let renewedAt = now();
  let renewing: Promise<void> | undefined;
  let ended: Error | undefined;
  const requireOwn = (found: Lease) => {
    if (holderIn(found) === own) return;
    ended = new Error(`${nameOther(found)} has taken over the environments of ${home}.\nStop this one.`);
    throw ended;
  };
  let written = await write(options, own, (found) => {
    if (isHeld(found, now()) && holderIn(found) !== own) throw inUse(found, home);
  });
  const renew = async () => {
    const at = now();
    written = await write(options, own, requireOwn, written);
    renewedAt = at;
  };
  return {
    async confirm() {
      if (!ended && Math.abs(now() - renewedAt) >= renewedEveryMs) {
        renewing ??= renew().finally(() => {
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

/** A copy is another directory, or is on another machine. */
function holderOf(home: string): string {
  const path = realpathSync(home);
  return `${hostname()}:${path}#${statSync(path).ino}`;
}

function holderIn({ spec }: Lease): string {
  return spec?.holderIdentity ?? "";
}

/** By the clocks of two machines, of which either may be ahead. */
function isHeld(lease: Lease, now: number): boolean {
  return holderIn(lease) !== "" && Math.abs(now - Date.parse(lease.spec?.renewTime ?? "")) < heldForMs;
}

/** Whoever may write in the namespace may write anything into it: no terminal is given more than letters. */
function nameOther(lease: Lease): string {
  const place = holderIn(lease).replace(/#\d+$/, "");
  return place === "" ? "Another stack" : `Another stack (${place.replaceAll(/[^ -~]/g, "?").slice(0, 200)})`;
}

function inUse(lease: Lease, home: string): Error {
  const minutes = heldForMs / 60_000;
  return new Error(
    `${nameOther(lease)} drives the environments of ${home}, and only one may.\n` +
      `Stop that one; where it was killed, or its directory was moved, wait ${minutes} minutes. ` +
      "To run both, set BERTH_HOME to an empty directory for this one: a copy has the same environments.",
  );
}

/**
 * Unless `refuse` throws for what is there: as it was written last, where that is known and nobody wrote since. One that
 * a hand deleted is made again.
 */
async function write(
  { client, namespace, deployment, now }: LeaseOptions,
  holderIdentity: string,
  refuse: (found: Lease) => void,
  written?: Lease,
): Promise<Lease> {
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const path = `${leases}/${deployment}`;
  let found = written ?? (await client.find<Lease>(path));
  for (let tries = 1; ; tries += 1) {
    if (found) refuse(found);
    const renewTime = new Date(now()).toISOString().replace("Z", "000Z");
    const spec = { holderIdentity, leaseDurationSeconds: heldForMs / 1000, renewTime };
    try {
      if (found) return await client.patch<Lease>(path, { metadata: versionOf(found), spec });
      return await client.create<Lease>(leases, leaseObject(deployment, spec));
    } catch (error) {
      if (!isOvertaken(error) || tries === mostTries) throw error;
    }
    found = await client.find<Lease>(path);
  }
}

function versionOf({ metadata: { uid, resourceVersion } }: Lease) {
  return { uid, resourceVersion };
}

function leaseObject(deployment: string, spec: object): object {
  const metadata = { name: deployment, labels: deploymentLabels(deployment) };
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec };
}

function isOvertaken(error: unknown): boolean {
  return isAnother(error) || isNotFound(error) || (error instanceof ApiRefused && error.code === "AlreadyExists");
}
