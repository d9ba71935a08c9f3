import { createHash } from "node:crypto";
import type { BlobUpload } from "#core/ports/blobs.ts";
import type { RunRef } from "#core/ports/compute.ts";
import type { ArchiveOwner } from "#core/ports/volumes.ts";
import { buildMarks, deploymentLabels, everyRunSelector, labelledRun, mountLabel, type RunId } from "../names.ts";
import { podTolerations, type Toleration } from "../nodes/tolerations.ts";
import type { Job, KubeObject, Metadata } from "../objects.ts";
import { pullingWith } from "../runs/pod-settings.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { keptByAutoscalers, MAIN, priorityClass } from "../runs/run-job.ts";
import { claimAnnotation } from "./claim.ts";

/** Run number of archives, which no run reaches. */
const ARCHIVE_RUN = 999_999;
export const archiveLabel = "berth/archive";
const blobAnnotation = "berth/blob";

/** Time that a deletion waits for it (docs/apis/session-manager.md#effects-and-times). */
const MOST_SECONDS = 60;
/** Time in which the log of an abandoned Job is readable. An ended pod still blocks the deletion of its claim. */
const KEPT_SECONDS = 300;
const program = "/tools/archive";
const directory = "/workspace";
const key = "to";

/** Returns the name of the Job and its Secret, which differs between deployments of a namespace. */
export function archiveName(deployment: string, blob: string): string {
  return `archive-${createHash("sha256").update(`${deployment}\n${blob}`).digest("hex").slice(0, 40)}`;
}

/** Returns the run of its owner that an archive belongs to. Leftovers are found and deleted as parts of that run. */
export function toArchiveRun({ uid, key }: ArchiveOwner): RunRef {
  return { uid, run: ARCHIVE_RUN, key };
}

function isArchiveRun({ run }: RunId): boolean {
  return run === ARCHIVE_RUN;
}

/** Returns the owner of an archive's Job, or undefined if the labels are false. */
function findArchiveOwner({ metadata }: KubeObject, deployment: string): RunRef | undefined {
  const { name, labels, annotations } = metadata;
  const ref = labelledRun(metadata);
  const isNamed = name === archiveName(deployment, annotations?.[blobAnnotation] ?? "");
  return ref && isArchiveRun(ref) && isNamed && labels?.[archiveLabel] === name ? ref : undefined;
}

interface WantedArchive {
  readonly owner: ArchiveOwner;
  readonly image: string;
  readonly volume: string;
  readonly blob: string;
  readonly claim: string;
  readonly tolerations?: readonly Toleration[] | undefined;
  readonly pullSecrets?: readonly string[] | undefined;
}

/** Returns a suspended Job, which waits for its upload address. The pod can read the volume and nothing else. */
export function archiveJob({ deployment }: Pick<ClusterContext, "deployment">, wanted: WantedArchive): object {
  const { volume, blob, claim, owner } = wanted;
  const name = archiveName(deployment, blob);
  const marks = { ...deploymentLabels(deployment), [archiveLabel]: name };
  const { labels, annotations } = buildMarks({ ...toArchiveRun(owner), name: "archive", pool: "" }, deployment);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name,
      labels: { ...labels, ...marks },
      annotations: { ...annotations, [claimAnnotation.volume]: volume, [blobAnnotation]: blob },
    },
    spec: {
      suspend: true,
      completions: 1,
      parallelism: 1,
      backoffLimit: 0,
      podReplacementPolicy: "Failed",
      activeDeadlineSeconds: MOST_SECONDS,
      ttlSecondsAfterFinished: KEPT_SECONDS,
      template: {
        metadata: { labels: { ...marks, [mountLabel({ name: claim })]: "" }, annotations: keptByAutoscalers },
        spec: buildPod(name, wanted),
      },
    },
  };
}

function buildPod(name: string, { image, claim, tolerations, pullSecrets }: WantedArchive): object {
  return {
    restartPolicy: "Never",
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...pullingWith(pullSecrets),
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    // The volume's zone may have only GPU machines.
    tolerations: podTolerations(tolerations),
    containers: [
      {
        name: MAIN,
        image,
        command: [program, "/dev/termination-log"],
        env: [
          { name: "ARCHIVE_FROM", value: directory },
          { name: "ARCHIVE_TO", valueFrom: { secretKeyRef: { name, key } } },
        ],
        volumeMounts: [{ name: "volume", mountPath: directory, readOnly: true }],
        resources: { limits: { cpu: "2", memory: "1Gi" }, requests: { cpu: "100m", memory: "128Mi" } },
        securityContext: reader,
      },
    ],
    volumes: [{ name: "volume", persistentVolumeClaim: { claimName: claim } }],
  };
}

/** Root that can read all files: they belong to any user of the environment, and some are private. */
const reader = {
  runAsUser: 0,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"], add: ["DAC_OVERRIDE"] },
};

/** Returns the Secret with the upload address, valid for minutes without other credentials. The Job owns it. */
export function archiveSecret(
  { deployment }: Pick<ClusterContext, "deployment">,
  job: Job,
  upload: BlobUpload,
): object {
  const { name, uid } = job.metadata;
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      labels: { ...deploymentLabels(deployment), [archiveLabel]: name },
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid }],
    },
    data: { [key]: Buffer.from(JSON.stringify(upload)).toString("base64") },
  };
}

export async function listArchives(place: ClusterContext): Promise<RunRef[]> {
  return (await listJobs(place)).map(({ ref }) => ref);
}

export async function removeArchives(place: ClusterContext, id: RunId): Promise<void> {
  if (!isArchiveRun(id)) return;
  const { client, paths } = place;
  const jobs = await listJobs(place, id.uid);
  await Promise.all(jobs.map(({ job: { name, uid } }) => client.remove(`${paths.jobs}/${name}`, { uid })));
}

async function listJobs(
  { client, paths, deployment }: ClusterContext,
  uid?: string,
): Promise<readonly { readonly ref: RunRef; readonly job: Metadata }[]> {
  const selector = `${everyRunSelector(deployment, uid)}${encodeURIComponent(`,${archiveLabel}`)}`;
  const keep = (job: KubeObject) => {
    const ref = findArchiveOwner(job, deployment);
    return ref ? [{ ref, job: job.metadata }] : [];
  };
  return (await client.list(`${paths.jobs}?${selector}`, keep, { part: "metadata" })).items;
}
