import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/context.ts";
import { removed } from "#testing/cluster/cluster.ts";
import { must } from "#testing/cluster/objects.ts";
import { emptyVolumesConformance } from "#testing/conformance/volumes.ts";
import { type Claims, kubernetesClaims } from "./claims.ts";
import { type ClusterTrial, namespace, openClusterTrial, trialRun } from "./cluster-trial.ts";
import { pathsOf } from "./names.ts";
import type { KubeObject } from "./objects.ts";

const claimsPath = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
let trial: ClusterTrial;
let claims: Claims;

beforeAll(async () => {
  trial = await openClusterTrial(
    ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge", zone: "us-east-1b" })),
  );
  claims = kubernetesClaims({ client: trial.client, paths: pathsOf(namespace), deployment: "trial" });
});

afterAll(() => trial.stop());

async function clear(): Promise<void> {
  await trial.clear();
  const { items } = must(await trial.cluster.admin.get<{ items: KubeObject[] }>(claimsPath));
  await Promise.all(items.map(({ metadata }) => claims.removeVolume(`${metadata.name}.${metadata.uid}`)));
  await Promise.all(items.map(({ metadata }) => removed(trial.cluster.admin, `${claimsPath}/${metadata.name}`)));
}

describe("claims of a cluster as every Volumes", () => {
  emptyVolumesConformance(async () => ({ volumes: claims, close: clear }));
});

describe("a claim", () => {
  const runWith = (id: string): Run =>
    trialRun({ mounts: [{ volume: { id, zone: "us-east-1b" }, path: "/workspace" }] });
  const wanted = { token: "disk", sizeGb: 10, zone: "us-east-1b", snapshotId: undefined };
  const ready = ({ uid }: Run) =>
    trial.eventually(
      () => trial.compute.observe(uid, 1),
      (seen) => seen?.state === "ready",
    );
  const gone = ({ uid }: Run) =>
    trial.eventually(
      () => trial.compute.observe(uid, 1),
      (seen) => seen === undefined,
    );
  const remove = ({ uid }: Run) => trial.compute.remove(uid, 1, { graceSeconds: 1, force: false });

  it("is attached while a run has it, outlives the run, and is had by one run at a time", async () => {
    const { id } = await claims.createVolume(wanted);
    const [first, second] = [runWith(id), runWith(id)];

    await trial.compute.apply(first);
    await ready(first);
    const during = await claims.findVolume(id);
    await trial.compute.apply(second);
    const waits = await trial.eventually(
      () => trial.compute.observe(second.uid, 1),
      (seen) => seen?.reason != null,
    );
    await remove(first);
    await gone(first);
    await ready(second);
    await remove(second);
    await gone(second);

    expect(during).toEqual({ id, zone: "us-east-1b", attached: true });
    expect(waits).toMatchObject({ state: "unbound", reason: expect.stringContaining("ReadWriteOncePod") });
    expect(await claims.findVolume(id)).toEqual({ id, zone: "us-east-1b", attached: false });
    await clear();
  });

  it("is attached until its node has let go of it, whatever became of its run", async () => {
    const { id } = await claims.createVolume(wanted);
    const run = runWith(id);
    await trial.compute.apply(run);
    await ready(run);
    const path = `/api/v1/persistentvolumes/${await volumeNameOf(id)}`;
    const { spec } = must(
      await trial.cluster.admin.get<KubeObject & { spec: { csi: { volumeHandle: string } } }>(path),
    );
    const name = `kubernetes.io/csi/ebs.csi.aws.com^${spec.csi.volumeHandle}`;
    const told = async (status: object) => {
      must(await trial.cluster.admin.patch("/api/v1/nodes/one/status", { status }));
      return (await claims.findVolume(id))?.attached;
    };
    const attachedTo = [{ name, devicePath: "" }];
    await told({ volumesInUse: [name], volumesAttached: attachedTo });
    await remove(run);
    await gone(run);

    const unmounting = (await claims.findVolume(id))?.attached;
    const detaching = await told({ volumesInUse: null });
    const detached = await told({ volumesAttached: null });

    expect([unmounting, detaching, detached]).toEqual([true, true, false]);
    await clear();
  });

  it("is had by the first of several machines alone", async () => {
    const { id } = await claims.createVolume(wanted);
    const shares = ["two", "one"].map((node) => ({ node, units: 8 }));
    const run = { ...runWith(id), shares, gpusPerMachine: 8 };

    await trial.compute.apply(run);

    expect(await ready(run)).toMatchObject({ nodes: [{ name: "two" }, { name: "one" }] });
    await remove(run);
    await gone(run);
    await clear();
  });

  it("takes its volume along when it is removed, and leaves it when somebody deletes it by hand", async () => {
    const volumes = ["ours", "theirs"].map((token) => claims.createVolume({ ...wanted, token }));
    const [ours, theirs] = await Promise.all(volumes);
    const runs = [ours, theirs].map((volume) => runWith(volume?.id ?? ""));
    await Promise.all(runs.map((run) => trial.compute.apply(run)));
    await Promise.all(runs.map(ready));
    await Promise.all(runs.map(remove));
    await Promise.all(runs.map(gone));
    const [oursName, theirsName] = await Promise.all([ours, theirs].map((volume) => volumeNameOf(volume?.id ?? "")));

    await claims.removeVolume(ours?.id ?? "");
    await trial.cluster.admin.remove(`${claimsPath}/${theirs?.id.split(".")[0]}`);
    await removed(trial.cluster.admin, `/api/v1/persistentvolumes/${oursName}`);

    const left = must(await trial.cluster.admin.get(`/api/v1/persistentvolumes/${theirsName}`));
    expect(left.metadata.deletionTimestamp).toBeUndefined();
  });

  async function volumeNameOf(id: string): Promise<string | undefined> {
    const path = `${claimsPath}/${id.split(".")[0]}`;
    const { spec } = must(await trial.cluster.admin.get<KubeObject & { spec: { volumeName?: string } }>(path));
    return spec.volumeName;
  }
});
