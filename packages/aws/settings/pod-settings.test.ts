import { expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { podSettingNames, toPodSettings } from "./pod-settings.ts";

const read = (environment: Readonly<Record<string, string>>) => toPodSettings(readConfig(podSettingNames, environment));

it("leaves pods as they are without any setting", () => {
  expect(read({})).toEqual({
    cpuLimit: "share",
    graceSeconds: 10,
    machineResources: ["vpc.amazonaws.com/efa", "hugepages-2Mi"],
    capabilities: [],
    userNamespaces: false,
    pullSecrets: [],
  });
});

it("reads resources of whole machines", () => {
  expect(read({ MACHINE_RESOURCES: "none" }).machineResources).toEqual([]);
  expect(read({ MACHINE_RESOURCES: "rdma/hca, hugepages-1Gi" }).machineResources).toEqual([
    "rdma/hca",
    "hugepages-1Gi",
  ]);
});

it.each([
  ["MACHINE_RESOURCES", "cpu", "must be none, or resources like"],
  ["MACHINE_RESOURCES", "nvidia.com/gpu", "must be none, or resources like"],
  ["MACHINE_RESOURCES", "rdma/hca,none", "must be none, or resources like"],
  ["POD_CAPABILITIES", "SYS_ADMIN", "must be capabilities among SYS_PTRACE, IPC_LOCK and SYS_RESOURCE"],
  ["POD_CAPABILITIES", "SYS_PTRACE,ALL", "must be capabilities among SYS_PTRACE, IPC_LOCK and SYS_RESOURCE"],
  ["POD_USER_NAMESPACES", "yes", "must be 0 or 1"],
  ["IMAGE_PULL_SECRETS", "../registry", "must be names of Secrets of the namespace berth-environments"],
  ["POD_PATCH", "no JSON", "must be JSON like {"],
  ["POD_CPU_LIMIT", "2", "must be share or none"],
  ["POD_GRACE_SECONDS", "0", "must be a whole number from 1 to 600"],
  ["POD_GRACE_SECONDS", "601", "must be a whole number from 1 to 600"],
])("refuses %s=%s with its rule", (name, value, rule) => {
  expect(() => read({ [name]: value })).toThrow(`Bad settings:\n  ${name} ${rule}`);
});

it("reads a patch of pods", () => {
  const patch = {
    metadata: { labels: { team: "research", "kueue.x-k8s.io/queue-name": "gpus" }, annotations: { "a.test/b": "c d" } },
    spec: {
      nodeSelector: { "kubernetes.io/arch": "amd64" },
      runtimeClassName: "nvidia",
      priorityClassName: "research",
    },
  };

  expect(read({ POD_PATCH: JSON.stringify(patch) }).patch).toEqual(patch);
  expect(read({ POD_PATCH: "{}" }).patch).toEqual({});
});

it.each<[field: string, patch: object]>([
  ["spec.hostNetwork", { spec: { hostNetwork: true } }],
  ["spec.hostUsers", { spec: { hostUsers: true } }],
  ["spec.serviceAccountName", { spec: { serviceAccountName: "admin" } }],
  ["spec.containers", { spec: { containers: [] } }],
  ["spec.volumes", { spec: { volumes: [{ hostPath: { path: "/" } }] } }],
  ["spec.schedulingGates", { spec: { schedulingGates: [{ name: "a" }] } }],
  ["spec.priorityClassName", { spec: { priorityClassName: "system-node-critical" } }],
  ["spec.nodeSelector", { spec: { nodeSelector: { a: "b c" } } }],
  ["metadata.namespace", { metadata: { namespace: "kube-system" } }],
  ["metadata.labels", { metadata: { labels: { "berth/uid": "other" } } }],
  ["metadata.labels", { metadata: { labels: { "mounts.berth/volume": "" } } }],
  ["metadata.labels", { metadata: { labels: { "batch.kubernetes.io/job-name": "other" } } }],
  ["metadata.labels", { metadata: { labels: { "job-name": "other" } } }],
  [
    "metadata.annotations",
    { metadata: { annotations: { "container.apparmor.security.beta.kubernetes.io/main": "unconfined" } } },
  ],
  ["metadata.annotations", { metadata: { annotations: { "k8s.v1.cni.cncf.io/networks": "other" } } }],
  ["metadata.annotations", { metadata: { annotations: { "io.kubernetes.cri-o.Devices": "/dev/mem" } } }],
  ["kind", { kind: "Pod" }],
])("refuses a patch of %s in %j", (field, patch) => {
  expect(() => read({ POD_PATCH: JSON.stringify(patch) })).toThrow(
    new RegExp(`POD_PATCH must be JSON .*Refused: ${field}`),
  );
});
