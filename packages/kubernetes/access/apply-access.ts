import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Access } from "#core/ports/compute.ts";
import { askPod } from "../exec/supervised-exec.ts";
import { annotation, type RunId } from "../names.ts";
import { readNodes } from "../nodes/read-nodes.ts";
import type { Job, Pod } from "../objects.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";
import { numberIn, patchAsRead } from "../runs/patch-job.ts";
import { type ClusterContext, findJob, findLivingPod, isLiving } from "../runs/read-run.ts";
import { findNodeIp } from "../status/observation.ts";
import { jupyterService } from "./jupyter.ts";
import { closeSshService, openSshService, wantsSshPort } from "./ssh-service.ts";
import { askSupervisor, isSupervised, sshService } from "./tools.ts";

/** Applies who may enter a run (see Compute). Tokens go to the pod only, never into the Job. */
export async function setAccess(
  place: ClusterContext,
  id: RunId,
  access: Access,
  sshPort: number | undefined,
): Promise<void> {
  const { jupyter, revision, keys } = access;
  const job = await findJob(place, id);
  if (!job || !isLiving(job) || numberIn(job, annotation.access) > revision) return;
  const isFirst = job.metadata.annotations?.[annotation.access] === undefined;
  const ssh = sshPort !== undefined && keys.length > 0 ? await openSshService(place, id, job, sshPort) : null;
  if (sshPort !== undefined && ssh === null && !isFirst) await closeSshService(place, id);
  const isNewPort = ssh !== job.metadata.annotations?.[annotation.ssh] && Number(ssh) > 0;
  const annotations = {
    [annotation.jupyter]: jupyter ? "wanted" : null,
    [annotation.access]: String(revision),
    [annotation.ssh]: isNewPort ? null : ssh,
  };
  await patchAsRead(place, job, { metadata: { annotations } });
  const pod = await tellSupervisor(place, id, { job, access, sshPort });
  if (isNewPort) await showPort(place, id, { pod, revision, port: Number(ssh) });
}

interface NewPort {
  /** undefined if no supervisor has started an SSH server. */
  readonly pod: Pod | undefined;
  readonly revision: number;
  readonly port: number;
}

/** Shows a new node port to users once its node serves it. A later revision decides for itself. */
async function showPort(place: ClusterContext, id: RunId, { pod, revision, port }: NewPort): Promise<void> {
  if (pod) {
    const [node] = await readNodes(place.client, pod.spec.nodeName ? [pod.spec.nodeName] : []);
    const ip = findNodeIp(node);
    if (ip !== undefined) await awaitSshServer(ip, port);
  }
  const job = await findJob(place, id);
  if (!job || numberIn(job, annotation.access) !== revision) return;
  await patchAsRead(place, job, { metadata: { annotations: { [annotation.ssh]: String(port) } } });
}

/** Longest wait for a node's network, which learns of a new port within a second. Clients may have another route. */
const answersWithinMs = 5_000;
const attemptMs = 1_000;
const pauseMs = 100;

/** Returns when an SSH server answers there, or after 5 seconds: this machine may have no route to the node. */
async function awaitSshServer(host: string, port: number): Promise<void> {
  const end = AbortSignal.timeout(answersWithinMs);
  while (!end.aborted && !(await answersAsSsh(host, port, AbortSignal.any([end, AbortSignal.timeout(attemptMs)]))))
    await sleep(pauseMs);
}

/** Reports whether a server sends the beginning of SSH (RFC 4253, 4.2). */
async function answersAsSsh(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    const [first] = await once(socket, "data", { signal });
    return String(first).startsWith("SSH-");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Retries to open an SSH port for a run that found none free. */
export async function withSshPort(
  place: ClusterContext,
  id: RunId,
  objects: RunObjects,
  sshPort: number | undefined,
): Promise<RunObjects> {
  const [job, ...others] = objects.jobs;
  if (sshPort === undefined || !job || !wantsSshPort(job) || !isLiving(job)) return objects;
  try {
    const ssh = { [annotation.ssh]: await openSshService(place, id, job, sshPort) };
    const opened = { ...job, metadata: { ...job.metadata, annotations: { ...job.metadata.annotations, ...ssh } } };
    if (!wantsSshPort(opened)) await patchAsRead(place, job, { metadata: { annotations: ssh } });
    return { ...objects, jobs: [opened, ...others] };
  } catch {
    return objects;
  }
}

const answerWithinMs = 10_000;

interface Telling {
  readonly job: Job;
  readonly access: Access;
  /** Port of the SSH server; undefined if the run has none. */
  readonly sshPort: number | undefined;
}

/** Sends the access to the supervisor of the first machine, which stores it. Returns undefined without a supervisor. */
async function tellSupervisor(
  place: ClusterContext,
  id: RunId,
  { job, access, sshPort }: Telling,
): Promise<Pod | undefined> {
  const pod = await findLivingPod(place, id);
  if (!pod || !isSupervised(pod)) return undefined;
  const { revision, login, keys, jupyter } = access;
  const files = { authorized_keys: keys.map((key) => `${key}\n`).join("") };
  const services = {
    ...(jupyter ? { jupyter: jupyterService(job, jupyter.token) } : {}),
    ...(sshPort !== undefined && keys.length > 0 ? { ssh: sshService(login, sshPort) } : {}),
  };
  const stdin = JSON.stringify({ revision, files, services });
  const { exitCode } = await askPod(place, pod, { words: askSupervisor("access"), stdin, timeoutMs: answerWithinMs });
  if (exitCode !== 0) throw new Error("The supervisor of this container refused the access");
  return pod;
}
