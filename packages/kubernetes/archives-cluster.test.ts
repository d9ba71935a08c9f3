import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { s3Blobs } from "#aws/s3-blobs.ts";
import { fakeKey } from "#aws/test-servers/fake-service.ts";
import { type FakeS3, refusal, startS3 } from "#aws/test-servers/s3.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { removed } from "#testing/cluster/cluster.ts";
import { must } from "#testing/cluster/objects.ts";
import { handleOf } from "#testing/cluster/pretend-disks.ts";
import { toolsPath } from "#testing/cluster/tools-binaries.ts";
import { archivesConformance } from "#testing/conformance/archives.ts";
import type { ApiClient } from "./api-client.ts";
import { archiveName } from "./archive-job.ts";
import { type ClusterTrial, namespace, openClusterTrial } from "./cluster-trial.ts";
import { ebsArchives } from "./ebs-archives.ts";
import { claimOf, pathsOf } from "./names.ts";
import type { Job, KubeObject, Pod } from "./objects.ts";
import { kubernetesVolumes } from "./volumes.ts";

const paths = pathsOf(namespace);
const isArchive = "labelSelector=berth/archive";
let trial: ClusterTrial;
let s3: FakeS3;
let volumes: Volumes;

beforeAll(async () => {
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));
  // Long enough that a Job that was begun is seen before its end.
  const script = () => ({ process: true, startMs: 500 }) as const;
  trial = await openClusterTrial(nodes, script, { tools: await toolsPath(process.env) });
  s3 = await startS3("bucket");
  volumes = volumesOf(trial.client);
});

afterAll(async () => {
  await s3.stop();
  await trial.stop();
});

function volumesOf(client: ApiClient): Volumes {
  const service = { name: "s3", region: "us-east-2", url: `${s3.endpoint}/bucket`, credentials: () => fakeKey };
  const archives = { image: "berth.test/tools:1", blobs: s3Blobs(service) };
  return kubernetesVolumes({ client, paths, deployment: "trial" }, { now: Date.now, archives });
}

async function clear(): Promise<void> {
  const { admin } = trial.cluster;
  for (const path of [paths.jobs, paths.claims]) {
    const selector = path === paths.jobs ? `?${isArchive}` : "";
    const { items } = must(await admin.get<{ items: KubeObject[] }>(`${path}${selector}`));
    await Promise.all(items.map(({ metadata }) => trial.client.remove(`${path}/${metadata.name}`, metadata)));
    await Promise.all(items.map(({ metadata }) => removed(admin, `${path}/${metadata.name}`)));
  }
}

const jobOf = async (blob: string) =>
  must(await trial.cluster.admin.get<Job>(`${paths.jobs}/${archiveName("trial", blob)}`));
const newVolume = (token: string) =>
  volumes.createVolume({ token, sizeGb: 5, zone: "us-east-1a", snapshotId: undefined });
const ended = (blob: string) =>
  trial.eventually(
    () => volumes.findArchive(blob),
    (archive) => archive !== undefined && archive.state !== "pending",
  );

describe("claims zipped by Jobs as every Volumes", () => {
  archivesConformance(async () => ({
    volumes,
    // The cluster takes a moment for each pod.
    pass: () => sleep(500),
    content: { write: async () => undefined, read: async () => "" },
    close: clear,
  }));
});

describe("the zip of a volume of EBS", () => {
  it("is made by a pod that mounts it for so long alone", async () => {
    const volume = { id: "vol-0123456789abcdef0", zone: "us-east-1a" };
    const service = { name: "s3", region: "us-east-2", url: `${s3.endpoint}/bucket`, credentials: () => fakeKey };
    const archives = ebsArchives(
      { client: trial.client, paths, deployment: "trial" },
      {
        image: "berth.test/tools:1",
        blobs: s3Blobs(service),
        findVolume: async (id) => (id === volume.id ? { ...volume, attached: false } : undefined),
      },
    );
    await trial.cluster.kubelet.disks.make(volume.id, undefined);
    await writeFile(join(trial.cluster.kubelet.disks.directoryOf(volume.id), "notes"), "what was written");

    await archives.startArchive(volume.id, "archives/o/ebs");
    const archive = await trial.eventually(
      () => archives.findArchive("archives/o/ebs"),
      (seen) => seen !== undefined && seen.state !== "pending",
    );

    const zip = s3.objects.get("archives/o/ebs");
    expect(archive).toEqual({ state: "completed", bytes: zip?.byteLength });
    expect(Buffer.from(zip ?? []).toString("latin1")).toContain("notes");
    await expect(archives.startArchive("vol-0fedcba9876543210", "archives/o/none")).rejects.toThrow("does not exist");
    const claim = must(await trial.cluster.admin.get(`${paths.claims}/${volume.id}`));
    expect(claim.metadata.deletionTimestamp).toBeDefined();
    await clear();
    await removed(trial.cluster.admin, `/api/v1/persistentvolumes/berth-${volume.id}`);
  });
});

describe("the zip of a claim", () => {
  it("holds what is in the volume, and is sent by a pod that may read that and write nothing", async () => {
    const { id } = await newVolume("read");
    await volumes.startArchive(id, "archives/first");
    await ended("archives/first");
    const handle = await handleOf(trial.cluster.admin, namespace, claimOf(id)?.name ?? "");
    await writeFile(join(trial.cluster.kubelet.disks.directoryOf(handle ?? ""), "notes"), "what was written");

    await volumes.startArchive(id, "archives/o/workspace-1");
    const { state, bytes } = (await ended("archives/o/workspace-1")) ?? {};

    const zip = s3.objects.get("archives/o/workspace-1");
    expect([state, bytes]).toEqual(["completed", zip?.byteLength]);
    expect(Buffer.from(zip ?? []).toString("latin1")).toContain("notes");
    const selector = `labelSelector=berth/archive=${archiveName("trial", "archives/o/workspace-1")}`;
    const { items } = must(await trial.cluster.admin.get<{ items: Pod[] }>(`${paths.pods}?${selector}`));
    const [pod] = items;
    expect(items.length).toBe(1);
    expect(pod?.spec).toMatchObject({
      automountServiceAccountToken: false,
      containers: [
        {
          volumeMounts: [{ name: "volume", readOnly: true }],
          securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"], add: ["DAC_OVERRIDE"] } },
        },
      ],
    });
    const log = must(await trial.cluster.admin.get<string>(`${paths.pods}/${pod?.metadata.name}/log`));
    expect(log).toContain('"bytes":');
    const shown = JSON.stringify([pod, await jobOf("archives/o/workspace-1"), log]);
    expect(shown).not.toMatch(/X-Amz|AKIA|https?:/);
    await clear();
  });

  it("has failed where S3 refuses it, and its pod says why", async () => {
    const { id } = await newVolume("refused");
    s3.trouble([refusal("AccessDenied")]);

    await volumes.startArchive(id, "archives/refused");

    expect(await ended("archives/refused")).toEqual({ state: "failed", bytes: 0 });
    await volumes.startArchive(id, "archives/refused");
    expect(await volumes.findArchive("archives/refused")).toEqual({ state: "failed", bytes: 0 });
    await clear();
  });

  it("is finished by the next call where one was interrupted, and its address goes with the Job", async () => {
    const { id } = await newVolume("interrupted");
    const broken = volumesOf({ ...trial.client, apply: () => Promise.reject(new Error("died")) });
    const late = volumesOf({ ...trial.client, patch: () => Promise.reject(new Error("died later")) });
    await expect(broken.startArchive(id, "archives/late")).rejects.toThrow("died");
    await expect(late.startArchive(id, "archives/late")).rejects.toThrow("died later");
    const before = await volumes.findArchive("archives/late");

    await volumes.startArchive(id, "archives/late");

    expect(before).toEqual({ state: "pending", bytes: 0 });
    expect(await ended("archives/late")).toMatchObject({ state: "completed" });
    const job = await jobOf("archives/late");
    const secret = `${paths.secrets}/${job.metadata.name}`;
    must(await trial.cluster.admin.get(secret));
    await clear();
    await removed(trial.cluster.admin, secret);
  });

  it("ends by itself after a minute, so that it holds its volume no longer, and is forgotten five minutes later", async () => {
    const { id } = await newVolume("bounded");

    await volumes.startArchive(id, "archives/bounded");

    expect((await jobOf("archives/bounded")).spec).toMatchObject({
      activeDeadlineSeconds: 60,
      ttlSecondsAfterFinished: 300,
      backoffLimit: 0,
    });
    expect((await volumes.findVolume(id))?.attached).toBe(true);
    await ended("archives/bounded");
    expect((await volumes.findVolume(id))?.attached).toBe(false);
    await clear();
  });
});
