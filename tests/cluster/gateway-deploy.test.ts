import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RunGone } from "#core/problem.ts";
import { readGatewaySettings } from "#gateway-server/settings.ts";
import { runEntry } from "#kubernetes/access/run-entry.ts";
import { apiClient } from "#kubernetes/client/api-client.ts";
import {
  type ClusterFixture,
  fixtureRun,
  namespace,
  openClusterFixture,
} from "#kubernetes/fixtures/cluster-fixture.ts";
import { listRights, type Role, rightsIn } from "#kubernetes/fixtures/rights-fixture.ts";
import { applyManifests, kustomizedFiles, readManifests } from "./manifests.ts";
import { getPods, must } from "./objects.ts";

const folder = fileURLToPath(new URL("../../deploy/kubernetes/gateway", import.meta.url));
const system = "berth-system";
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
  const { admin } = fixture.cluster;
  await applyManifests(admin, await readManifests(folder));
  const secret = { metadata: { name: "berth-gateway-host-key" }, stringData: { keys: "a key" } };
  must(await admin.post(`/api/v1/namespaces/${system}/secrets`, secret));
});
afterAll(() => fixture.stop());

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly securityContext: object;
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly {
          readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
          readonly env: readonly { readonly name: string; readonly value: string }[];
          readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
        }[];
      };
    };
  };
}

const read = async <Body>(path: string) => must(await fixture.cluster.admin.get<Body>(path));
const readDeployment = () => read<Deployment>(`/apis/apps/v1/namespaces/${system}/deployments/berth-gateway`);
const readSettingsMap = () =>
  read<{ data: Record<string, string> }>(`/api/v1/namespaces/${system}/configmaps/berth-gateway`);

it("the manifests of the gateway are all listed in the kustomization", async () => {
  const { named, there } = await kustomizedFiles(folder);

  expect(named.toSorted()).toEqual(there.toSorted());
});

it("the strictest policy for pods admits the gateway's, but no root in it", async () => {
  const { metadata, spec } = (await readDeployment()).spec.template;
  // This control plane runs no Deployments.
  const create = (name: string, changes: object) =>
    fixture.cluster.admin.post(getPods(system), { metadata: { ...metadata, name }, spec: { ...spec, ...changes } });

  const own = await create("own", {});
  const asRoot = await create("root", { securityContext: { ...spec.securityContext, runAsNonRoot: false } });

  expect([own.status, asRoot.status]).toEqual([201, 403]);
});

it("the Service, its policy and its budget select the gateway's pods, and lead to its ports", async () => {
  const { metadata, spec } = (await readDeployment()).spec.template;
  const containerPorts = new Map(spec.containers[0]?.ports.map(({ name, containerPort }) => [name, containerPort]));
  const service = await read<Service>(`/api/v1/namespaces/${system}/services/berth-gateway`);
  const [budget, policy] = await Promise.all([
    read<Selecting>(`/apis/policy/v1/namespaces/${system}/poddisruptionbudgets/berth-gateway`),
    read<Selecting>(`/apis/networking.k8s.io/v1/namespaces/${system}/networkpolicies/berth-gateway`),
  ]);

  const ports = service.spec.ports.map(({ port, targetPort }) => [port, containerPorts.get(targetPort)]);
  expect(ports).toEqual([
    [22, 2222],
    [443, 8080],
  ]);
  expect(service.spec.selector).toEqual(metadata.labels);
  expect(budget.spec.selector?.matchLabels).toEqual(metadata.labels);
  expect(policy.spec.podSelector?.matchLabels).toEqual(metadata.labels);
});

interface Service {
  readonly spec: {
    readonly selector: object;
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
  };
}

interface Selecting {
  readonly spec: {
    readonly selector?: { readonly matchLabels: object };
    readonly podSelector?: { readonly matchLabels: object };
  };
}

it("the program accepts the settings of its pods, and has time to drain", async () => {
  const { data } = await readSettingsMap();
  const { terminationGracePeriodSeconds, containers } = (await readDeployment()).spec.template.spec;
  const [container] = containers;
  const env = Object.fromEntries(container?.env.map(({ name, value }) => [name, value]) ?? []);

  const settings = readGatewaySettings({ ...data, ...env });

  expect([settings.sshPort, settings.webPort]).toEqual([2222, 8080]);
  const waits = (container?.lifecycle.preStop.sleep.seconds ?? 0) + settings.drainSeconds;
  expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(waits + 60);
});

it("the gateway's account enters runs, and uses each of its rights", { retry: 0 }, async () => {
  const run = fixtureRun();
  await fixture.compute.apply(run);
  await fixture.eventually(
    () => fixture.compute.observe(run.uid, 1),
    (state) => state?.state === "ready",
  );
  const token = await makeToken();
  const used = new Set<string>();
  const note = (message: unknown) => {
    const { request } = message as { readonly request: ClientRequest };
    const isOwn = request.getHeader("authorization") === `Bearer ${token}`;
    for (const right of isOwn ? listRights(request) : []) used.add(right);
  };
  subscribe("http.client.request.start", note);
  const { url, ca } = fixture.cluster.controlPlane.getAccess("nobody");
  const client = apiClient({ url, ca, token: async () => token });
  const runs = runEntry({ client, namespace, deployment: "fixture" });

  const session = await runs.open({ uid: run.uid, run: 1 }, { words: ["echo", "inside"], env: {} });
  const output = await text(session.output);
  const dialled = await runs.dial({ uid: run.uid, run: 1 }, 9);
  dialled.on("error", () => undefined).destroy();
  const gone = runs.open({ uid: "0".repeat(32), run: 1 }, { words: ["true"], env: {} });
  await expect(gone).rejects.toThrow(RunGone);
  client.close();
  unsubscribe("http.client.request.start", note);

  expect([output, await session.ended]).toEqual(["inside\n", 0]);
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const role = await read<Role>(`${rbac}/namespaces/${namespace}/roles/berth-gateway`);
  expect([...used].toSorted()).toEqual(rightsIn(role, ` ${namespace}`).toSorted());
});

/** Creates a token of the gateway's account, as its pods get one. */
async function makeToken(): Promise<string> {
  const { status } = must(
    await fixture.cluster.admin.post<{ status: { token: string } }>(
      `/api/v1/namespaces/${system}/serviceaccounts/berth-gateway/token`,
      { spec: {} },
    ),
  );
  return status.token;
}
