import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { s3Blobs } from "#aws/s3/s3-blobs.ts";
import { compareOrphans } from "#core/admin/orphans.ts";
import type { MachineState } from "#core/ports/compute.ts";
import type { VolumeRef, Volumes } from "#core/ports/volumes.ts";
import { fakeKey } from "#tests/aws/fake-service.ts";
import { type FakeS3, startS3 } from "#tests/aws/s3.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { findVolumeHandle } from "#tests/cluster/disks/pretend-disks.ts";
import { must } from "#tests/cluster/objects.ts";
import { archivesConformance } from "#tests/conformance/archives.ts";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { toolsPath } from "../../../scripts/images/tools-programs.ts";
import type { ApiClient } from "../client/api-client.ts";
import { type ClusterFixture, namespace, openClusterFixture, unhurried } from "../fixtures/cluster-fixture.ts";
import { parseClaimId } from "../names.ts";
import { holds, type Job, type KubeObject, type Node, type Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { archiveName } from "../volumes/archive-job.ts";
import { type Archives, ebsArchives } from "../volumes/archives.ts";
import { kubernetesVolumes } from "../volumes.ts";

const paths = buildPaths(namespace);
const owner = { uid: "a".repeat(32), key: "owner#o#env#session-manager|one" };
const isArchive = "labelSelector=berth/archive";
let fixture: ClusterFixture;
let s3: FakeS3;
let volumes: Volumes;
/** Duration of the next pod, long enough to see its Job before the end. */
let startMs = 500;
/** State that the provider reports of every machine. */
let machine: MachineState = "running";

beforeAll(async () => {
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));
  const script = () => ({ process: true, startMs }) as const;
  fixture = await openClusterFixture(nodes, script, { tools: await toolsPath(process.env) });
  s3 = await startS3("bucket");
  volumes = getVolumes(fixture.client);
});

afterAll(async () => {
  await s3.stop();
  await fixture.stop();
});

function getVolumes(client: ApiClient): Volumes {
  return kubernetesVolumes({ client, paths, deployment: "fixture" }, { ...unhurried, archives: options() });
}

function options() {
  const service = { name: "s3", region: "us-east-2", url: `${s3.endpoint}/bucket`, credentials: () => fakeKey };
  return { image: "berth.test/tools:1", blobs: s3Blobs(service), getMachineState: async () => machine };
}

/** The zips of one existing EBS volume. */
async function openEbs(volume: VolumeRef, client = fixture.client): Promise<Archives> {
  await fixture.cluster.kubelet.disks.make(volume.id, undefined);
  return ebsArchives(
    { client, paths, deployment: "fixture" },
    { ...options(), findVolume: async (id) => (id === volume.id ? { ...volume, attached: false } : undefined) },
  );
}

/** Compares cluster and records four times, five minutes apart, without any record. */
async function sweep(): Promise<void> {
  const { ctx } = await memoryWorld();
  for (let times = 0; times < 4; times += 1) {
    await compareOrphans({ ...ctx, compute: fixture.compute });
    await ctx.clock.sleep(300_000);
  }
}

const listPods = async (blob: string) => {
  const selector = `labelSelector=berth/archive=${archiveName("fixture", blob)}`;
  return must(await fixture.cluster.admin.get<{ items: Pod[] }>(`${paths.pods}?${selector}`)).items;
};

async function clear(): Promise<void> {
  const { admin } = fixture.cluster;
  s3.objects.clear();
  for (const path of [paths.jobs, paths.claims]) {
    const selector = path === paths.jobs ? `?${isArchive}` : "";
    const { items } = must(await admin.get<{ items: KubeObject[] }>(`${path}${selector}`));
    const remove = ({ metadata: { name, uid } }: KubeObject) => fixture.client.remove(`${path}/${name}`, { uid });
    await Promise.all(items.map(remove));
    await Promise.all(items.map(({ metadata }) => removed(admin, `${path}/${metadata.name}`)));
  }
}

const jobPath = (blob: string) => `${paths.jobs}/${archiveName("fixture", blob)}`;
const getJob = async (blob: string) => must(await fixture.cluster.admin.get<Job>(jobPath(blob)));
const newVolume = (token: string) =>
  volumes.createVolume({ token, sizeGb: 5, zone: "us-east-1a", snapshotId: undefined });
const ended = (blob: string) =>
  fixture.eventually(
    () => volumes.findArchive(blob),
    (archive) => archive !== undefined && archive.state !== "pending",
  );

describe("zips of claims by Jobs, as every Volumes", () => {
  archivesConformance(async () => ({
    volumes,
    pass: () => sleep(500),
    content: { write: async () => undefined, read: async () => "" },
    close: clear,
  }));
});

describe("the zip of an EBS volume", () => {
  it("is made by a pod that mounts it until the archive ends, which removes its objects", async () => {
    const volume = { id: "vol-0123456789abcdef0", zone: "us-east-1a" };
    const archives = await openEbs(volume);
    await writeFile(join(fixture.cluster.kubelet.disks.findDirectory(volume.id), "notes"), "what was written");

    await archives.startArchive(volume.id, "archives/o/ebs", owner);
    const archive = await fixture.eventually(
      () => archives.findArchive("archives/o/ebs"),
      (seen) => seen !== undefined && seen.state !== "pending",
    );

    const zip = s3.objects.get("archives/o/ebs");
    expect(archive).toEqual({ state: "completed", bytes: zip?.byteLength });
    expect(Buffer.from(zip ?? []).toString("latin1")).toContain("notes");
    await expect(archives.startArchive("vol-0fedcba9876543210", "archives/o/none", owner)).rejects.toThrow(
      "does not exist",
    );
    for (const _ of ["once", "twice"]) await archives.endArchive("archives/o/ebs", owner);
    const objects = [
      jobPath("archives/o/ebs"),
      `${paths.claims}/${volume.id}`,
      `/api/v1/persistentvolumes/berth-${volume.id}`,
    ];
    await Promise.all(objects.map((path) => removed(fixture.cluster.admin, path)));
    expect(await archives.findArchive("archives/o/ebs")).toEqual(archive);
    await clear();
  });

  it("is complete although its objects cannot be removed, which is logged", async () => {
    const volume = { id: "vol-0123456789abcdef1", zone: "us-east-1a" };
    const archives = await openEbs(volume);
    await archives.startArchive(volume.id, "archives/o/kept", owner);
    await fixture.eventually(async () => s3.objects.has("archives/o/kept"), Boolean);
    const list = () => Promise.reject(new Error("no answer"));
    const away = await openEbs(volume, { ...fixture.client, list });

    await expect(away.endArchive("archives/o/kept", owner)).rejects.toThrow("no answer");

    expect(await away.findArchive("archives/o/kept")).toMatchObject({ state: "completed" });
    await archives.endArchive("archives/o/kept", owner);
    await removed(fixture.cluster.admin, `${paths.claims}/${volume.id}`);
    await clear();
  });

  it("that was abandoned is removed like other leftovers without a record", async () => {
    const volume = { id: "vol-0123456789abcdef2", zone: "us-east-1a" };
    const interrupted = await openEbs(volume, { ...fixture.client, apply: () => Promise.reject(new Error("died")) });
    await expect(interrupted.startArchive(volume.id, "archives/o/left", owner)).rejects.toThrow("died");

    await sweep();

    const objects = [
      jobPath("archives/o/left"),
      `${paths.claims}/${volume.id}`,
      `/api/v1/persistentvolumes/berth-${volume.id}`,
    ];
    await Promise.all(objects.map((path) => removed(fixture.cluster.admin, path)));
  });
});

describe("the zip of a claim", () => {
  it("contains the volume, sent by a pod that can read it and write nothing", async () => {
    const { id } = await newVolume("read");
    await volumes.startArchive(id, "archives/first", owner);
    await ended("archives/first");
    const handle = await findVolumeHandle(fixture.cluster.admin, namespace, parseClaimId(id)?.name ?? "");
    await writeFile(join(fixture.cluster.kubelet.disks.findDirectory(handle ?? ""), "notes"), "what was written");

    await volumes.startArchive(id, "archives/o/workspace-1", owner);
    const { state, bytes } = (await ended("archives/o/workspace-1")) ?? {};

    const zip = s3.objects.get("archives/o/workspace-1");
    expect([state, bytes]).toEqual(["completed", zip?.byteLength]);
    expect(Buffer.from(zip ?? []).toString("latin1")).toContain("notes");
    const items = await listPods("archives/o/workspace-1");
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
    // An autoscaler would end it during the archive.
    expect(pod?.metadata.annotations).toMatchObject({
      "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
      "karpenter.sh/do-not-disrupt": "true",
    });
    // The zip is complete a moment before its pod reports it.
    const log = await fixture.eventually(
      async () => must(await fixture.cluster.admin.get<string>(`${paths.pods}/${pod?.metadata.name}/log`)),
      (text) => text.includes('"bytes":'),
    );
    const shown = JSON.stringify([pod, await getJob("archives/o/workspace-1"), log]);
    expect(shown).not.toMatch(/X-Amz|AKIA|https?:/);
    await clear();
  });

  it("has failed if S3 refuses it, and its pod says why", async () => {
    const { id } = await newVolume("refused");
    const { blobs, ...more } = options();
    const urlToPut = async (name: string) => {
      const upload = await blobs.urlToPut(name);
      return upload && { ...upload, url: upload.url.replace(/Signature=[0-9a-f]{4}/, "Signature=0000") };
    };
    const place = { client: fixture.client, paths, deployment: "fixture" };
    const archives = { ...more, blobs: { ...blobs, urlToPut } };
    const refused = kubernetesVolumes(place, { ...unhurried, archives });

    await refused.startArchive(id, "archives/refused", owner);

    expect(await ended("archives/refused")).toEqual({ state: "failed", bytes: 0 });
    await refused.startArchive(id, "archives/refused", owner);
    expect(await volumes.findArchive("archives/refused")).toEqual({ state: "failed", bytes: 0 });
    await clear();
  });

  it("is finished by the next call after an interruption, and its address goes with the Job", async () => {
    const { id } = await newVolume("interrupted");
    const broken = getVolumes({ ...fixture.client, apply: () => Promise.reject(new Error("died")) });
    const late = getVolumes({ ...fixture.client, patch: () => Promise.reject(new Error("died later")) });
    await expect(broken.startArchive(id, "archives/late", owner)).rejects.toThrow("died");
    await expect(late.startArchive(id, "archives/late", owner)).rejects.toThrow("died later");
    const before = await volumes.findArchive("archives/late");

    await volumes.startArchive(id, "archives/late", owner);

    expect(before).toEqual({ state: "pending", bytes: 0 });
    expect(await ended("archives/late")).toMatchObject({ state: "completed" });
    const job = await getJob("archives/late");
    const secret = `${paths.secrets}/${job.metadata.name}`;
    must(await fixture.cluster.admin.get(secret));
    await clear();
    await removed(fixture.cluster.admin, secret);
  });

  it("is known however old it is, and is not made twice", async () => {
    const { id } = await newVolume("forgotten");
    await volumes.startArchive(id, "archives/forgotten", owner);
    const whole = await ended("archives/forgotten");
    await fixture.client.remove(jobPath("archives/forgotten"), { uid: undefined });
    await removed(fixture.cluster.admin, jobPath("archives/forgotten"));

    await volumes.startArchive(id, "archives/forgotten", owner);

    expect(await volumes.findArchive("archives/forgotten")).toEqual(whole);
    expect((await fixture.cluster.admin.get(jobPath("archives/forgotten"))).status).toBe(404);
    await clear();
  });

  it("ends after a minute to release its volume, and is deleted five minutes later", async () => {
    const { id } = await newVolume("bounded");

    await volumes.startArchive(id, "archives/bounded", owner);

    expect((await getJob("archives/bounded")).spec).toMatchObject({
      activeDeadlineSeconds: 60,
      ttlSecondsAfterFinished: 300,
      backoffLimit: 0,
    });
    await fixture.eventually(
      () => volumes.findVolume(id),
      (volume) => volume?.attached === true,
    );
    await ended("archives/bounded");
    await fixture.eventually(
      () => volumes.findVolume(id),
      (volume) => volume?.attached === false,
    );
    await clear();
  });

  it("releases its volume from a lost machine once the provider confirms that", async () => {
    const { id } = await newVolume("lost");
    startMs = 3_600_000;
    await volumes.startArchive(id, "archives/lost", owner);
    const [pod] = await fixture.eventually(
      () => listPods("archives/lost"),
      ([pod]) => pod?.spec.nodeName !== undefined,
    );
    const name = pod?.spec.nodeName ?? "";
    fixture.pretendNodes.find((pretendNode) => pretendNode.name === name)?.lose();
    await fixture.eventually(
      async () => must(await fixture.cluster.admin.get<Node>(`/api/v1/nodes/${name}`)),
      (node) => !holds(node, "Ready"),
    );
    await volumes.endArchive("archives/lost", owner);
    await fixture.eventually(
      () => listPods("archives/lost"),
      ([pod]) => pod?.metadata.deletionTimestamp !== undefined,
    );
    const waitsFor = await volumes.endArchive("archives/lost", owner);
    const held = await listPods("archives/lost");

    machine = "gone";
    const after = await volumes.endArchive("archives/lost", owner);

    expect(held.length).toBe(1);
    expect([waitsFor, after]).toEqual([expect.objectContaining({ name, uid: expect.any(String) }), undefined]);
    await fixture.eventually(
      () => listPods("archives/lost"),
      (pods) => pods.length === 0,
    );
  });
});
