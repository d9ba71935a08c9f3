import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { must } from "#tests/cluster/objects.ts";
import { emptyVolumesConformance } from "#tests/conformance/volumes.ts";
import type { ApiClient } from "../client/api-client.ts";
import {
  type ClusterFixture,
  fixtureRun,
  namespace,
  openClusterFixture,
  unhurried,
} from "../fixtures/cluster-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { type Claim, getVolumeId, type PersistentVolume } from "../volumes/claim.ts";
import { kubernetesVolumes } from "../volumes.ts";

const claimsPath = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
let fixture: ClusterFixture;
let claims: Volumes;

beforeAll(async () => {
  fixture = await openClusterFixture(
    ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge", zone: "us-east-1b" })),
  );
  const place = { client: fixture.client, paths: buildPaths(namespace), deployment: "fixture" };
  claims = kubernetesVolumes(place, unhurried);
});

afterAll(() => fixture.stop());

async function clear(): Promise<void> {
  await fixture.clear();
  const { items } = must(await fixture.cluster.admin.get<{ items: Claim[] }>(claimsPath));
  await Promise.all(items.map((claim) => claims.removeVolume(getVolumeId(claim))));
  await Promise.all(items.map(({ metadata }) => removed(fixture.cluster.admin, `${claimsPath}/${metadata.name}`)));
}

describe("claims of a cluster without snapshots as every Volumes", () => {
  emptyVolumesConformance(async () => ({ volumes: claims, close: clear }));
});

describe("a claim", { retry: 0 }, () => {
  afterEach(clear);

  const runWith = (id: string): Run =>
    fixtureRun({ mounts: [{ volume: { id, zone: "us-east-1b" }, path: "/workspace" }] });
  let made = 0;
  /** Unique name: a scheduler that lags behind confuses a claim with an earlier one of the same name. */
  const newClaim = (volumes = claims) =>
    volumes.createVolume({ token: `disk-${++made}`, sizeGb: 10, zone: "us-east-1b", snapshotId: undefined });
  const ready = ({ uid }: Run) =>
    fixture.eventually(
      () => fixture.compute.observe(uid, 1),
      (seen) => seen?.state === "ready",
    );
  const gone = ({ uid }: Run) =>
    fixture.eventually(
      () => fixture.compute.observe(uid, 1),
      (seen) => seen === undefined,
    );
  const remove = ({ uid }: Run) => fixture.compute.remove(uid, 1, { graceSeconds: 1, force: false });

  it("is attached while a run uses it, outlives the run, and serves one run at a time", async () => {
    const { id } = await newClaim();
    const [first, second] = [runWith(id), runWith(id)];

    await fixture.compute.apply(first);
    await ready(first);
    const during = await claims.findVolume(id);
    await fixture.compute.apply(second);
    const waits = await fixture.eventually(
      () => fixture.compute.observe(second.uid, 1),
      (seen) => seen?.reason != null,
    );
    await remove(first);
    await gone(first);
    await ready(second);
    await remove(second);
    await gone(second);

    expect(during).toEqual({ id, zone: "us-east-1b", attached: true });
    expect(waits).toMatchObject({ state: "unbound", reason: expect.stringContaining("ReadWriteOncePod") });
    expect(await claims.findVolume(id)).toEqual({ ...during, attached: false, noBackup: "impossible" });
  });

  it("is attached until its node has released it, whatever became of its run", async () => {
    const { id } = await newClaim();
    const run = runWith(id);
    await fixture.compute.apply(run);
    await ready(run);
    const path = `/api/v1/persistentvolumes/${await findVolumeName(id)}`;
    const { spec } = must(
      await fixture.cluster.admin.get<KubeObject & { spec: { csi: { volumeHandle: string } } }>(path),
    );
    const name = `kubernetes.io/csi/ebs.csi.aws.com^${spec.csi.volumeHandle}`;
    const answers = async (status: object) => {
      must(await fixture.cluster.admin.patch("/api/v1/nodes/one/status", { status }));
      return (await claims.findVolume(id))?.attached;
    };
    const attachedTo = [{ name, devicePath: "" }];
    await answers({ volumesInUse: [name], volumesAttached: attachedTo });
    await remove(run);
    await gone(run);

    const unmounting = (await claims.findVolume(id))?.attached;
    const detaching = await answers({ volumesInUse: null });
    const detached = await answers({ volumesAttached: null });

    expect([unmounting, detaching, detached]).toEqual([true, true, false]);
  });

  /** Attachment of its volume to node `one`, which the cluster drops only after the driver has detached it. */
  async function attach(id: string): Promise<string> {
    const name = `csi-${id.split(".")[1]}`;
    const source = { persistentVolumeName: await findVolumeName(id) };
    must(
      await fixture.cluster.admin.post("/apis/storage.k8s.io/v1/volumeattachments", {
        metadata: { name, finalizers: ["attacher.test/detaches"] },
        spec: { attacher: "ebs.csi.aws.com", nodeName: "one", source },
      }),
    );
    return `/apis/storage.k8s.io/v1/volumeattachments/${name}`;
  }

  it("is detached by force from the named machine, and attached until that is done", async () => {
    const { id } = await newClaim();
    await use(id);
    const path = await attach(id);
    const { metadata } = must(await fixture.cluster.admin.get("/api/v1/nodes/one"));
    const machine = { name: "one", uid: metadata.uid, providerId: "p" };
    const isGoing = async () => must(await fixture.cluster.admin.get(path)).metadata.deletionTimestamp !== undefined;

    await claims.detachVolume(id, { ...machine, name: "two" });
    await claims.detachVolume(id, { ...machine, uid: "that of another machine" });
    const spared = await isGoing();
    await claims.detachVolume(id, machine);
    const going = [await isGoing(), (await claims.findVolume(id))?.attached];
    must(await fixture.cluster.admin.patch(path, { metadata: { finalizers: null } }));
    await removed(fixture.cluster.admin, path);

    expect([spared, ...going]).toEqual([false, true, true]);
    expect((await claims.findVolume(id))?.attached).toBe(false);
  });

  it("is mounted on the first of several machines only", async () => {
    const { id } = await newClaim();
    const shares = ["two", "one"].map((node) => ({ node, units: 8 }));
    const run = { ...runWith(id), shares, gpusPerMachine: 8 };

    await fixture.compute.apply(run);

    expect(await ready(run)).toMatchObject({ nodes: [{ name: "two" }, { name: "one" }] });
    await remove(run);
    await gone(run);
  });

  it("takes its volume along when it is removed, and leaves it after a deletion by hand", async () => {
    const [ours, theirs] = await Promise.all([newClaim(), newClaim()]);
    const runs = [ours, theirs].map(({ id }) => runWith(id));
    await Promise.all(runs.map((run) => fixture.compute.apply(run)));
    await Promise.all(runs.map(ready));
    await Promise.all(runs.map(remove));
    await Promise.all(runs.map(gone));
    const [oursName, theirsName] = await Promise.all([ours, theirs].map(({ id }) => findVolumeName(id)));

    await claims.removeVolume(ours.id);
    await fixture.cluster.admin.remove(`${claimsPath}/${theirs.id.split(".")[0]}`);
    await removed(fixture.cluster.admin, `/api/v1/persistentvolumes/${oursName}`);

    const left = must(await fixture.cluster.admin.get(`/api/v1/persistentvolumes/${theirsName}`));
    expect(left.metadata.deletionTimestamp).toBeUndefined();
    await claims.removeVolume(theirs.id);
    await removed(fixture.cluster.admin, `/api/v1/persistentvolumes/${theirsName}`);
  });

  /** A volume of a run, whose claim was deleted that many times. */
  async function deletedByHand(volumes: Volumes, times: number) {
    const { id } = await newClaim(volumes);
    await use(id);
    const before = await findVolumeName(id);
    for (let left = times; left > 0; left--) {
      await volumes.findVolume(id);
      await fixture.cluster.admin.remove(`${claimsPath}/${id.split(".")[0]}`);
      await removed(fixture.cluster.admin, `${claimsPath}/${id.split(".")[0]}`);
    }
    return { id, before };
  }

  async function use(id: string): Promise<void> {
    const run = runWith(id);
    await fixture.compute.apply(run);
    await ready(run);
    await remove(run);
    await gone(run);
  }

  it("is created again for its volume after each deletion by hand, and takes it along in the end", async () => {
    const { id, before } = await deletedByHand(claims, 2);

    const found = await claims.findVolume(id);
    const after = await findVolumeName(id);
    await use(id);
    await claims.removeVolume(id);
    await removed(fixture.cluster.admin, `${claimsPath}/${id.split(".")[0]}`);
    await removed(fixture.cluster.admin, `/api/v1/persistentvolumes/${before}`);

    expect(found).toMatchObject({ id, zone: "us-east-1b", attached: false });
    expect(after).toBe(before);
    expect(await claims.findVolume(id)).toBeUndefined();
  });

  it.each([
    ["", async () => undefined],
    [
      ", and somebody deleted that claim too",
      async (id: string) => {
        await fixture.cluster.admin.remove(`${claimsPath}/${id.split(".")[0]}`);
        await removed(fixture.cluster.admin, `${claimsPath}/${id.split(".")[0]}`);
      },
    ],
  ])("takes its volume along if the cluster has not bound the recreated claim%s", async (_, andThen) => {
    const { id, before } = await deletedByHand(claims, 1);
    const path = `/api/v1/persistentvolumes/${before}`;
    const allow = await forbidChanges(before ?? "", "everybody else");
    await claims.findVolume(id);
    await andThen(id);

    await claims.removeVolume(id);
    await allow();

    await removed(fixture.cluster.admin, `${claimsPath}/${id.split(".")[0]}`);
    await removed(fixture.cluster.admin, path);
  });

  describe("of a class that deletes volumes with their claims", () => {
    beforeAll(async () => {
      must(
        await fixture.cluster.admin.post("/apis/storage.k8s.io/v1/storageclasses", {
          metadata: { name: "going", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
          provisioner: "ebs.csi.aws.com",
          volumeBindingMode: "WaitForFirstConsumer",
          reclaimPolicy: "Delete",
        }),
      );
    });

    /** Class that is also the default. */
    const volumesBy = (client: ApiClient) =>
      kubernetesVolumes(
        { client, paths: buildPaths(namespace), deployment: "fixture" },
        { ...unhurried, storageClass: null },
      );

    async function expectLeft(volumes: Volumes): Promise<void> {
      const { id, before } = await deletedByHand(volumes, 1);

      expect(await volumes.findVolume(id)).toMatchObject({ id, attached: false });
      expect(await findVolumeName(id)).toBe(before);
      await volumes.removeVolume(id);
      await removed(fixture.cluster.admin, `/api/v1/persistentvolumes/${before}`);
    }

    it("still keeps its volume", () => expectLeft(volumesBy(fixture.client)));

    it("leaves it, and takes it along in the end, despite concurrent writes", async () => {
      const overtaken: Record<string, number> = { Retain: 0, Delete: 0 };
      const patch: ApiClient["patch"] = async (path, body, kind) => {
        const policy = (body as Partial<PersistentVolume>).spec?.persistentVolumeReclaimPolicy ?? "";
        const times = (overtaken[policy] ?? 2) + 1;
        if (times <= 2) {
          overtaken[policy] = times;
          must(await fixture.cluster.admin.patch(path, { metadata: { annotations: { [policy]: `${times}` } } }));
        }
        return fixture.client.patch(path, body, kind);
      };

      await expectLeft(volumesBy({ ...fixture.client, patch }));

      expect(overtaken).toEqual({ Retain: 2, Delete: 2 });
    });
  });

  it("is removed with its volume by its class if patches of volumes are forbidden", async () => {
    const { admin } = fixture.cluster;
    const { id } = await newClaim();
    const [name = "", uid = ""] = id.split(".");
    const path = "/api/v1/persistentvolumes/foreign";
    await bindTo("foreign", { name, uid, policy: "Delete" });
    await forbidChanges("foreign", "Berth");

    await claims.findVolume(id);
    await claims.removeVolume(id);

    await removed(admin, `${claimsPath}/${name}`);
    await admin.remove(path);
    await removed(admin, path);
  });

  it("is created again for a volume with another name, among foreign volumes", async () => {
    const { id } = await newClaim();
    const [name = "", uid = ""] = id.split(".");
    await bindTo("theirs", { name, uid, policy: "Retain" });
    await claims.findVolume(id);
    await fixture.cluster.admin.remove(`${claimsPath}/${name}`);
    await removed(fixture.cluster.admin, `${claimsPath}/${name}`);

    const found = await claims.findVolume(id);
    const after = await findVolumeName(id);
    await claims.removeVolume(id);
    await removed(fixture.cluster.admin, `${claimsPath}/${name}`);
    await fixture.cluster.admin.remove("/api/v1/persistentvolumes/theirs");
    await removed(fixture.cluster.admin, "/api/v1/persistentvolumes/theirs");

    expect(found).toMatchObject({ id, attached: false });
    expect(after).toBe("theirs");
  });

  /** Binds to a volume made by hand, of a driver that does not run. */
  async function bindTo(volume: string, { policy, ...claim }: Record<"name" | "uid" | "policy", string>) {
    must(
      await fixture.cluster.admin.post("/api/v1/persistentvolumes", {
        metadata: { name: volume },
        spec: {
          capacity: { storage: "10Gi" },
          accessModes: ["ReadWriteOncePod"],
          storageClassName: "berth-gp3",
          persistentVolumeReclaimPolicy: policy,
          claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, ...claim },
          csi: { driver: "another.csi.example", volumeHandle: "v" },
        },
      }),
    );
    await fixture.eventually(
      () => findVolumeName(`${claim.name}.${claim.uid}`),
      (bound) => bound === volume,
    );
  }

  it("is gone with its volume", async () => {
    const { id } = await newClaim();
    await use(id);
    const path = `/api/v1/persistentvolumes/${await findVolumeName(id)}`;
    await fixture.cluster.admin.remove(path);
    await fixture.cluster.admin.patch(path, { metadata: { finalizers: null } });
    await removed(fixture.cluster.admin, path);

    expect(await claims.findVolume(id)).toBeUndefined();
  });

  /** Policy of the cluster, from when it holds until the returned function is called. */
  async function forbidChanges(volume: string, by: "Berth" | "everybody else"): Promise<() => Promise<void>> {
    const { admin } = fixture.cluster;
    const admission = "/apis/admissionregistration.k8s.io/v1";
    const resources = { apiGroups: [""], apiVersions: ["v1"], resources: ["persistentvolumes"] };
    const isBerth = "'berth:controller' in request.userInfo.groups";
    const name = `keeps-${volume}`;
    const metadata = { name };
    const spec = {
      matchConstraints: { resourceRules: [{ ...resources, operations: ["UPDATE"] }] },
      matchConditions: [{ name: "is-theirs", expression: by === "Berth" ? isBerth : `!(${isBerth})` }],
      validations: [{ expression: `object.metadata.name != '${volume}'` }],
    };
    must(await admin.post(`${admission}/validatingadmissionpolicies`, { metadata, spec }));
    const binding = { metadata, spec: { policyName: name, validationActions: ["Deny"] } };
    must(await admin.post(`${admission}/validatingadmissionpolicybindings`, binding));
    const path = `/api/v1/persistentvolumes/${volume}?dryRun=All`;
    const change = { metadata: { annotations: { a: "b" } } };
    const patch =
      by === "Berth" ? fixture.client.patch : async (...of: [string, object]) => must(await admin.patch(...of));
    await fixture.eventually(
      () => patch(path, change).catch(() => "refused"),
      (answer) => answer === "refused",
    );
    return async () => {
      must(await admin.remove(`${admission}/validatingadmissionpolicybindings/${name}`));
      must(await admin.remove(`${admission}/validatingadmissionpolicies/${name}`));
    };
  }

  async function findVolumeName(id: string): Promise<string | undefined> {
    const path = `${claimsPath}/${id.split(".")[0]}`;
    const { spec } = must(await fixture.cluster.admin.get<KubeObject & { spec: { volumeName?: string } }>(path));
    return spec.volumeName;
  }
});
