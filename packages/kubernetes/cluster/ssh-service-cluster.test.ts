import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Compute, Run } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import type { KubeObject } from "../objects.ts";

const ports = [30_200, 30_201];
const sshPort = 2222;
let fixture: ClusterFixture;
let compute: Compute;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }], undefined, {
    nodePorts: ports.join("-"),
  });
  compute = kubernetesCompute({ ...fixture.options, sshPort });
});

afterAll(() => fixture.stop());

afterEach(() => fixture.clear());

interface Service extends KubeObject {
  readonly spec: {
    readonly type: string;
    readonly selector: Readonly<Record<string, string>>;
    readonly ports: readonly { readonly nodePort: number; readonly targetPort: number }[];
  };
}

const servicesThere = async () => {
  const { items } = must(
    await fixture.cluster.admin.get<{ items: Service[] }>(`/api/v1/namespaces/${namespace}/services`),
  );
  return items;
};
const findAddress = async ({ uid }: Run) => (await compute.observe(uid, 1))?.address;
const access = (revision: number, keys: readonly string[]) => ({ revision, login: "gpu-dev-1", keys, jupyter: null });
const key = ["ssh-ed25519 AAAA"];

async function begun(changes: Partial<Run> = {}): Promise<Run> {
  const run = fixtureRun(changes);
  await compute.apply(run);
  await fixture.eventually(
    () => compute.observe(run.uid, 1),
    (seen) => seen?.state === "ready",
  );
  return run;
}

it("a node has a port for SSH while the run has a key, and never another one for the same run", async () => {
  const run = await begun({ ports: [{ port: sshPort, kind: "ssh" }] });
  await compute.setAccess(run.uid, 1, access(1, []));
  const [before, atFirst] = [await servicesThere(), await findAddress(run)];

  await compute.setAccess(run.uid, 1, access(2, key));
  const [service, ...others] = await servicesThere();
  const opened = await findAddress(run);
  await compute.setAccess(run.uid, 1, access(3, [...key, "ssh-ed25519 BBBB"]));
  const again = await findAddress(run);
  await compute.setAccess(run.uid, 1, access(4, []));
  await fixture.eventually(servicesThere, (left) => left.length === 0);

  expect([before, atFirst]).toEqual([[], { ip: "127.0.0.1", port: null }]);
  expect(others).toEqual([]);
  expect(service?.spec).toMatchObject({
    type: "NodePort",
    externalTrafficPolicy: "Local",
    selector: { "batch.kubernetes.io/job-name": `${run.uid}-r1` },
    ports: [{ nodePort: expect.any(Number), targetPort: sshPort }],
  });
  expect(service?.metadata.labels).toMatchObject({ "berth/deployment": "fixture", "berth/uid": run.uid });
  expect(ports).toContain(opened?.port);
  expect(again).toEqual(opened);
  expect(await findAddress(run)).toEqual({ ip: "127.0.0.1", port: null });
});

it("keeps a run without a free port alive, reports that, and opens a port once it is free", async () => {
  const [first, second, third] = await Promise.all([begun(), begun(), begun()]);
  for (const run of [first, second, third]) await compute.setAccess(run.uid, 1, access(1, key));

  const full = await Promise.all([first, second, third].map(findAddress));
  const state = (await compute.observe(third.uid, 1))?.state;
  await compute.remove(first.uid, 1, { graceSeconds: 0, force: false });
  const freed = await fixture.eventually(
    () => findAddress(third),
    (address) => address?.port !== null,
  );

  expect(full.map((address) => address?.port).toSorted()).toEqual([...ports, null]);
  expect(full[2]?.problem).toBe("The cluster has no free port for SSH; Berth tries again");
  expect([state, freed?.port, freed?.problem]).toEqual(["ready", full[0]?.port, undefined]);
});

it("leaves no port behind when the run ends, not even one that was opened late", async () => {
  const run = await begun();
  await compute.setAccess(run.uid, 1, access(1, key));
  const [service] = await servicesThere();

  await fixture.clear();
  await fixture.eventually(servicesThere, (left) => left.length === 0);
  const { name, labels, ownerReferences } = service?.metadata ?? {};
  const late = { apiVersion: "v1", kind: "Service", metadata: { name, labels, ownerReferences }, spec: service?.spec };
  await fixture.client.apply(`/api/v1/namespaces/${namespace}/services/${name}`, late);

  expect(await fixture.eventually(servicesThere, (left) => left.length === 0)).toEqual([]);
});
