import { once } from "node:events";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findChild, isAlive, type ProcessIdentity } from "#process/supervisor/process-identity.ts";
import { applyManifests, readManifests } from "../cluster/manifests.ts";
import { startRealCluster } from "./real-cluster.ts";

/** The cluster of `npm run cluster:local`, as its state file describes it. */
export interface LocalCluster {
  /** Process that holds the cluster. */
  readonly process: ProcessIdentity;
  /** Folder of the control plane and its nodes; undefined while they start. */
  readonly home?: string;
}

/** Nodes for jobs with GPUs, and for what shares a machine. */
export const localNodes = [
  { name: "one", instanceType: "p5.48xlarge" },
  { name: "two", instanceType: "m7i.8xlarge" },
] as const;

/** Folder of the state file and the log, for each user. */
export function localClusterFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "berth", "local-cluster");
}

/** Returns the cluster whose process still lives. */
export async function findLocalCluster(folder: string): Promise<LocalCluster | undefined> {
  const text = await readFile(join(folder, STATE), "utf8").catch(() => undefined);
  const cluster = text === undefined ? undefined : (JSON.parse(text) as LocalCluster);
  return cluster && isAlive(cluster.process) ? cluster : undefined;
}

const STATE = "state.json";

/** Starts the cluster, says "ready" to the parent process, and holds the cluster until SIGTERM. */
export async function serveLocalCluster(folder: string): Promise<void> {
  const ended = once(process, "SIGTERM");
  const identity = findChild(process.pid);
  if (identity === undefined) throw new Error("The process table lacks this process");
  await claim(folder, identity);
  try {
    const cluster = await startRealCluster(localNodes);
    try {
      const deploy = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
      await applyManifests(cluster.admin, await readManifests(deploy));
      await write(folder, { process: identity, home: cluster.controlPlane.home });
      process.send?.("ready");
      await ended;
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(join(folder, STATE));
  }
}

/** Writes the state file unless another process that lives has written it: of two starts at once, one is refused. */
async function claim(folder: string, identity: ProcessIdentity): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!(await findLocalCluster(folder))) await rm(join(folder, STATE), { force: true });
  const text = JSON.stringify({ process: identity } satisfies LocalCluster);
  await writeFile(join(folder, STATE), text, { flag: "wx", mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EEXIST" ? new Error("Another local cluster starts or runs.") : error;
  });
}

async function write(folder: string, cluster: LocalCluster): Promise<void> {
  const draft = join(folder, `${STATE}.draft`);
  await writeFile(draft, JSON.stringify(cluster), { mode: 0o600 });
  await rename(draft, join(folder, STATE));
}
