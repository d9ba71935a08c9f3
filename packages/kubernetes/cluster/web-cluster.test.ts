import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Compute, Run } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import type { KubeObject } from "../objects.ts";

const services = `/api/v1/namespaces/${namespace}/services`;
const ingresses = `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`;
let fixture: ClusterFixture;
let compute: Compute;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
  const annotations = { "nginx.ingress.kubernetes.io/auth-url": "https://berth.example/allowed" };
  const web = { domain: "gpu.example:8443", ingressClass: "nginx", annotations };
  compute = kubernetesCompute({ ...fixture.options, web });
});

afterAll(() => fixture.stop());

afterEach(() => fixture.clear());

const there = async () => {
  const lists = await Promise.all(
    [services, ingresses].map((path) => fixture.cluster.admin.get<{ items: Part[] }>(path)),
  );
  return lists.map((list) => must(list).items);
};

interface Part extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
}

const page: Partial<Run> = {
  addressLabel: "demo.centralindia",
  ports: [
    { port: 22, kind: "ssh" },
    { port: 8080, kind: "http" },
    { port: 8081, kind: "http" },
  ],
};

it("a run that serves a page has its own name, with the class and annotations of the settings", async () => {
  const run = fixtureRun(page);

  await compute.apply(run);
  await compute.apply(run);
  const [[service, ...more] = [], [ingress, ...others] = []] = await there();

  const name = `web-${run.uid}-r1`;
  const labels = { "berth/deployment": "fixture", "berth/uid": run.uid };
  expect([more, others]).toEqual([[], []]);
  expect(service).toMatchObject({
    metadata: { name, labels },
    spec: {
      type: "ClusterIP",
      selector: { "batch.kubernetes.io/job-name": `${run.uid}-r1` },
      ports: [{ port: 80, targetPort: 8080 }],
    },
  });
  const backend = { service: { name, port: { number: 80 } } };
  expect(ingress).toMatchObject({
    metadata: {
      name,
      labels,
      annotations: { "nginx.ingress.kubernetes.io/auth-url": "https://berth.example/allowed", "berth/key": run.key },
    },
    spec: {
      ingressClassName: "nginx",
      rules: [{ host: "demo.centralindia.gpu.example", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
    },
  });
});

it("a run without a page or a valid host name has neither", async () => {
  await compute.apply(fixtureRun({ ...page, ports: [{ port: 22, kind: "ssh" }] }));
  await compute.apply(fixtureRun({ ports: page.ports ?? [] }));
  await compute.apply(fixtureRun({ ...page, addressLabel: "*.demo" }));
  await compute.apply(fixtureRun({ ...page, addressLabel: "demo\n" }));

  expect(await there()).toEqual([[], []]);
});

it("both go with the run, also if its Job was deleted by hand or never created", async () => {
  const [ended, byHand, half] = [fixtureRun(page), fixtureRun(page), fixtureRun(page)];
  const otherEntry = (label: string) => ({ addressLabel: label });
  await compute.apply(ended);
  await compute.apply({ ...byHand, ...otherEntry("by-hand") });
  await expect(compute.apply({ ...half, ...otherEntry("half"), image: "" })).rejects.toThrow();
  const before = (await there()).map((parts) => parts.length);
  const parts = (await compute.listParts()).map(({ uid }) => uid);
  must(
    await fixture.cluster.admin.remove(`/apis/batch/v1/namespaces/${namespace}/jobs/${byHand.uid}-r1`, {
      propagationPolicy: "Background",
    }),
  );

  for (const { uid } of [ended, byHand, half]) await compute.remove(uid, 1, { graceSeconds: 0, force: false });

  expect(before).toEqual([3, 3]);
  expect(new Set(parts)).toEqual(new Set([ended.uid, byHand.uid, half.uid]));
  expect(await there()).toEqual([[], []]);
});
