import { createHash } from "node:crypto";
import type { BlobUpload } from "#core/ports/blobs.ts";
import type { RunRef } from "#core/ports/compute.ts";
import type { ArchiveOwner } from "#core/ports/volumes.ts";
import { buildMarks, deploymentLabels, labelledRun, mountLabel, type RunId } from "../names.ts";
import type { Job, KubeObject } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { keptByAutoscalers, MAIN, priorityClass } from "../runs/run-job.ts";
import { claimAnnotation } from "./claim.ts";

/** Under this number no run is ever applied. */
const ARCHIVE_RUN = 999_999;
/** On the Job and its pod: the Job's name. */
export const archiveLabel = "berth/archive";
/** The name of the blob that it makes. */
const blobAnnotation = "berth/blob";

/** As long as a deletion waits for it (docs/apis/session-manager.md#effects-and-times). */
const MOST_SECONDS = 60;
/** In which its log may be read, where nobody took it away. A pod that has ended still keeps a claim from going. */
const KEPT_SECONDS = 300;
const program = "/tools/archive";
const directory = "/workspace";
const key = "to";

/** Of the Job and its Secret; another deployment of the namespace has others. */
export function archiveName(deployment: string, blob: string): string {
  return `archive-${createHash("sha256").update(`${deployment}\n${blob}`).digest("hex").slice(0, 40)}`;
}

/** As which run of its owner an archive is kept: what is left of it is found and removed as parts of a run are. */
export function toArchiveRun({ uid, key }: ArchiveOwner): RunRef {
  return { uid, run: ARCHIVE_RUN, key };
}

export function isArchiveRun({ run }: RunId): boolean {
  return run === ARCHIVE_RUN;
}

/** Whose archive a Job makes; undefined: it makes none, whatever its labels say. */
export function findArchiveOwner({ metadata }: KubeObject, deployment: string): RunRef | undefined {
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
  /** Of the volume. */
  readonly claim: string;
}

/**
 * Suspended, until its address is there. The pod may read every file of the volume, write none, and knows nothing of the
 * cluster or of AWS but that address.
 */
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

function buildPod(name: string, { image, claim }: WantedArchive): object {
  return {
    restartPolicy: "Never",
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    // The zone of a volume may have no other machines.
    tolerations: [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }],
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

/** Files belong to whomever the environment ran as, and some let nobody else read them. */
const reader = {
  runAsUser: 0,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"], add: ["DAC_OVERRIDE"] },
};

/** Its address lets in whoever has it, for some minutes. It goes with the Job. */
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
