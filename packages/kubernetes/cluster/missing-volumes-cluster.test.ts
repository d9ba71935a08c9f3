import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { must } from "#tests/cluster/objects.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import { buildPaths } from "../paths.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { kubernetesClaims } from "../volumes/claims.ts";
import { kubernetesVolumes } from "../volumes.ts";

const LONGEST_MS = 300_000;
const core = `/api/v1/namespaces/${namespace}`;
const classes = "/apis/storage.k8s.io/v1/storageclasses";
let fixture: ClusterFixture;
let place: ClusterContext;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
  place = { client: fixture.client, paths: buildPaths(namespace), deployment: "fixture" };
});

afterAll(() => fixture.stop());

describe("a job whose new disk gets no volume", () => {
  let jobs: CoreFixture;

  beforeAll(async () => {
    jobs = await startCore(fixture.compute, kubernetesVolumes(place, { now: Date.now }));
  });

  afterAll(() => jobs.stop());

  const forever = "while :; do sleep 0.2; done";
  const findReason = async (id: string, holds: RegExp) =>
    (await jobs.until(id, ({ reason }) => holds.test(reason ?? ""))).reason;

  it("shows that its storage class is missing, and starts once it exists", { timeout: LONGEST_MS }, async () => {
    const path = `${classes}/berth-gp3`;
    const { metadata, ...rest } = must(await fixture.cluster.admin.get(path));
    must(await fixture.cluster.admin.remove(path));
    await removed(fixture.cluster.admin, path);
    await jobs.create("classless", { command: forever, disk: "data", gpus: 1 });

    const reason = await findReason("classless", /storage class/);
    must(await fixture.cluster.admin.post(classes, { ...rest, metadata: { name: metadata.name } }));
    const active = await jobs.until("classless", ({ phase }) => phase === "active");

    expect(reason).toBe("The cluster has no storage class \"berth-gp3\"; the volume of disk 'data' is requested again");
    expect(active.reason).toBeNull();
  });

  it("shows that a quota is full, and starts once there is room", { timeout: LONGEST_MS }, async () => {
    const path = `${core}/resourcequotas/disks`;
    const spec = { hard: { persistentvolumeclaims: "0" } };
    must(await fixture.cluster.admin.post(`${core}/resourcequotas`, { metadata: { name: "disks" }, spec }));
    await fixture.eventually(
      async () => must(await fixture.cluster.admin.get<{ status?: { hard?: object }; metadata: never }>(path)),
      ({ status }) => status?.hard !== undefined,
    );
    await jobs.create("quota", { command: forever, disk: "more", gpus: 1 });

    const reason = await findReason("quota", /quota/);
    must(await fixture.cluster.admin.remove(path));
    const active = await jobs.until("quota", ({ phase }) => phase === "active");

    expect(reason).toBe("The quota disks of the cluster is used up; the volume of disk 'more' is requested again");
    expect(active.reason).toBeNull();
  });
});

describe("a cluster without a default storage class", () => {
  let jobs: CoreFixture;
  const none = "The cluster has no default storage class, so it makes no volumes";

  beforeAll(async () => {
    jobs = await startCore(fixture.compute, kubernetesVolumes(place, { now: Date.now, storageClass: null }));
  });

  afterAll(() => jobs.stop());

  it("ends a job with a new disk for that reason, without a try on any machine", { timeout: LONGEST_MS }, async () => {
    await jobs.create("unmade", { command: "true", disk: "none", gpus: 1 });

    const ended = await jobs.until("unmade", ({ phase }) => phase === "failed");

    expect(ended.reason).toBe(none);
    expect(ended.placement.withdrawals).toBe(0);
    expect(ended.run.applyingAt).toBeNull();
  });

  it("creates a volume once a class is the default, in both binding modes", async () => {
    const claims = kubernetesClaims(place, { storageClass: null });
    const make = (token: string) =>
      claims.createVolume({ token, sizeGb: 1, zone: "us-east-1a", snapshotId: undefined });
    await expect(make("before")).rejects.toMatchObject({ name: "VolumeRefused", message: none, isForGood: true });

    for (const mode of ["WaitForFirstConsumer", "Immediate"]) {
      const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
      const made = { metadata: { name: "later", annotations }, provisioner: "nobody.test", volumeBindingMode: mode };
      must(await fixture.cluster.admin.post(classes, made));
      const { id } = await make(`after-${mode}`);
      expect(await claims.listVolumes(`after-${mode}`)).toMatchObject([{ id }]);
      await claims.removeVolume(id);
      must(await fixture.cluster.admin.remove(`${classes}/later`));
      await removed(fixture.cluster.admin, `${classes}/later`);
    }
  });

  it("uses a volume without a class that its administrator created", async () => {
    const claims = kubernetesClaims(place, { storageClass: null });
    const spec = {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOncePod"],
      csi: { driver: "nobody.test", volumeHandle: "by-hand" },
    };
    must(await fixture.cluster.admin.post("/api/v1/persistentvolumes", { metadata: { name: "by-hand" }, spec }));

    const { id } = await claims.createVolume({ token: "hand", sizeGb: 1, zone: "us-east-1a", snapshotId: undefined });
    await claims.removeVolume(id);

    expect(id).toMatch(/^volume-/);
    must(await fixture.cluster.admin.remove("/api/v1/persistentvolumes/by-hand"));
  });
});

describe("a run whose volume comes from an external provisioner", () => {
  const provisioner = "nobody.test";
  let claim: { name: string; uid: string };
  let run: Run;

  beforeAll(async () => {
    must(
      await fixture.cluster.admin.post(classes, {
        metadata: { name: "unserved", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
        provisioner,
        volumeBindingMode: "WaitForFirstConsumer",
      }),
    );
    const claims = kubernetesClaims(place, { storageClass: null });
    const { id } = await claims.createVolume({ token: "t", sizeGb: 1, zone: "us-east-1a", snapshotId: undefined });
    const [name = "", uid = ""] = id.split(".");
    claim = { name, uid };
    run = fixtureRun({ mounts: [{ volume: { id, zone: "us-east-1a" }, path: "/workspace" }] });
    await fixture.compute.apply(run);
  });

  const until = (holds: (reason: string | null, state: string) => boolean) =>
    fixture.eventually(
      () => fixture.compute.observe(run.uid, run.run),
      (seen) => seen !== undefined && holds(seen.reason, seen.state),
    );

  /** Imitates a provisioner that EC2 refuses. */
  async function sayFailed(message: string): Promise<void> {
    const at = `${new Date().toISOString().slice(0, 19)}Z`;
    must(
      await fixture.cluster.admin.post(`${core}/events`, {
        metadata: { generateName: `${claim.name}.` },
        involvedObject: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, ...claim },
        type: "Warning",
        reason: "ProvisioningFailed",
        message,
        source: { component: provisioner },
        firstTimestamp: at,
        lastTimestamp: at,
        count: 1,
      }),
    );
  }

  async function makeVolume(): Promise<void> {
    must(
      await fixture.cluster.admin.post("/api/v1/persistentvolumes", {
        metadata: { name: `pvc-${claim.uid}`, annotations: { "pv.kubernetes.io/provisioned-by": provisioner } },
        spec: {
          capacity: { storage: "1Gi" },
          accessModes: ["ReadWriteOncePod"],
          storageClassName: "unserved",
          persistentVolumeReclaimPolicy: "Delete",
          claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, ...claim },
          csi: { driver: provisioner, volumeHandle: "v" },
        },
      }),
    );
  }

  it("names the provisioner, then the failure, and nothing once the volume exists", async () => {
    const waits = await until((reason) => reason !== null);
    await sayFailed(
      'failed to provision volume with StorageClass "unserved": rpc error: code = Internal desc = Could not create ' +
        "volume: StatusCode: 403, RequestID: 1f-2a, api error UnauthorizedOperation: You are not authorized. " +
        "Encoded authorization failure message: xyz",
    );
    const failed = await until((reason) => reason !== waits?.reason);
    await makeVolume();
    const ready = await until((_, state) => state === "ready");

    expect(waits).toMatchObject({
      state: "unbound",
      reason: `Its volume is not made yet by the provisioner ${provisioner}`,
    });
    expect(failed).toMatchObject({
      state: "unbound",
      reason:
        'Its volume could not be created: failed to provision volume with StorageClass "unserved": Could not create ' +
        "volume: StatusCode: 403, api error UnauthorizedOperation: You are not authorized",
    });
    expect(ready?.reason).toBeNull();
  });
});
