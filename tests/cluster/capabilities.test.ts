import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, startCluster } from "./cluster.ts";
import { applyManifests, kustomizedFiles, readManifests } from "./manifests.ts";
import { getPods } from "./objects.ts";

const folder = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
const namespace = "berth-environments";
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await applyManifests(cluster.admin, await readManifests(folder));
  expect((await make("before", {}, { securityContext: adding("SYS_PTRACE") })).message).toContain(
    "violates PodSecurity",
  );
  await applyManifests(cluster.admin, await readManifests(`${folder}/capabilities`));
  // The API server learns of a new policy by a watch.
  while ((await make("policy", { hostNetwork: true })).status !== 422) await sleep(100);
});

afterAll(async () => {
  await cluster.stop();
});

const adding = (...add: string[]) => ({ allowPrivilegeEscalation: false, capabilities: { add } });

/** Asks for a pod that is not stored. */
async function make(name: string, spec: object, container: object = {}, metadata: object = {}) {
  const pod = {
    metadata: { name, ...metadata },
    spec: { containers: [{ name: "main", image: "berth.test/main:1", ...container }], ...spec },
  };
  const answer = await cluster.admin.post<{ message?: string }>(`${getPods(namespace)}?dryRun=All`, pod);
  return { status: answer.status, message: answer.body.message ?? "" };
}

it("the manifests are all listed in the kustomization", async () => {
  const { named, there } = await kustomizedFiles(`${folder}/capabilities`);

  expect(named.toSorted()).toEqual(there.toSorted());
});

it("a pod of an environment is admitted with the capabilities of the setting", async () => {
  const context = { seccompProfile: { type: "RuntimeDefault" }, fsGroup: 1000 };
  const container = {
    securityContext: adding("SYS_PTRACE", "IPC_LOCK", "SYS_RESOURCE"),
    ports: [{ containerPort: 22 }],
  };
  const shm = [{ name: "shm", emptyDir: { medium: "Memory" } }];

  const made = await make("debugged", { securityContext: context, initContainers: [], volumes: shm }, container);

  expect(made).toEqual({ status: 201, message: "" });
});

it.each<[what: string, spec: object, container: object, message: string]>([
  ["another capability", {}, { securityContext: adding("SYS_ADMIN") }, "no other capabilities"],
  ["all capabilities", {}, { securityContext: adding("ALL") }, "no other capabilities"],
  ["all rights of root", {}, { securityContext: { privileged: true } }, "not privileged"],
  ["the kernel's own /proc", { hostUsers: false }, { securityContext: { procMount: "Unmasked" } }, "not privileged"],
  ["the host's network", { hostNetwork: true }, {}, "no part of their node"],
  ["the host's processes", { hostPID: true }, {}, "no part of their node"],
  ["a directory of the host", { volumes: [{ name: "host", hostPath: { path: "/" } }] }, {}, "no part of their node"],
  ["a port of the host", {}, { ports: [{ containerPort: 80, hostPort: 80 }] }, "no part of their node"],
  [
    "no system call filter",
    {},
    { securityContext: { seccompProfile: { type: "Unconfined" } } },
    "the profiles of their container runtime",
  ],
  [
    "no AppArmor profile in the pod",
    { securityContext: { appArmorProfile: { type: "Unconfined" } } },
    {},
    "the profiles of their container runtime",
  ],
  [
    "a kernel setting",
    { securityContext: { sysctls: [{ name: "kernel.shm_rmid_forced", value: "1" }] } },
    {},
    "the profiles of their container runtime",
  ],
  [
    "a probe of another host",
    {},
    { readinessProbe: { tcpSocket: { host: "10.0.0.1", port: 1 } } },
    "own address alone",
  ],
])("a pod with %s is refused", async (_, spec, container, message) => {
  const made = await make("refused", spec, container);

  expect(made.status).toBe(422);
  expect(made.message).toContain(message);
});

it("an init container with another capability is refused", async () => {
  const first = { name: "first", image: "berth.test/main:1", securityContext: adding("NET_ADMIN") };

  expect((await make("refused", { initContainers: [first] })).message).toContain("no other capabilities");
});
