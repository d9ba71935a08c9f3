import { expect, it } from "vitest";
import { readConfigOf } from "./config.ts";
import { allSettingSchemas } from "./pod-setting-schemas.ts";
import { podSettingNames, toPodSettings } from "./pod-settings.ts";

const read = (environment: Readonly<Record<string, string>>) =>
  toPodSettings(readConfigOf(allSettingSchemas, podSettingNames, environment));

it("leaves pods as they are without any setting", () => {
  expect(read({})).toEqual({
    cpuLimit: "share",
    graceSeconds: 10,
    machineResources: ["vpc.amazonaws.com/efa", "hugepages-2Mi"],
    newMachineResources: {},
    capabilities: [],
    userNamespaces: false,
    allowsSudo: false,
    pullSecrets: [],
    networkAllow: [],
    sharedClaims: [],
  });
});

it.each([
  ["1", false],
  ["sudo", true],
])("gives environments users of their own with POD_USER_NAMESPACES=%s", (text, allowsSudo) => {
  expect(read({ POD_USER_NAMESPACES: text })).toMatchObject({ userNamespaces: true, allowsSudo });
});

it("reads resources of whole machines", () => {
  expect(read({ MACHINE_RESOURCES: "none" }).machineResources).toEqual([]);
  expect(read({ MACHINE_RESOURCES: "rdma/hca, hugepages-1Gi" }).machineResources).toEqual([
    "rdma/hca",
    "hugepages-1Gi",
  ]);
});

it("reads resources of new machines by type", () => {
  const text = "p5.48xlarge=vpc.amazonaws.com/efa:32, p5.48xlarge=hugepages-2Mi:10256Mi,p4d.24xlarge=rdma/hca:4";

  expect(read({ NEW_MACHINE_RESOURCES: text }).newMachineResources).toEqual({
    "p5.48xlarge": { "vpc.amazonaws.com/efa": "32", "hugepages-2Mi": "10256Mi" },
    "p4d.24xlarge": { "rdma/hca": "4" },
  });
});

it.each([
  ["NEW_MACHINE_RESOURCES", "p5.48xlarge=vpc.amazonaws.com/efa", "must be resources of machine types, like"],
  ["NEW_MACHINE_RESOURCES", "p5.48xlarge=nvidia.com/gpu:8", "must be resources of machine types, like"],
  ["NEW_MACHINE_RESOURCES", "p5.48xlarge=rdma/hca:0", "must be resources of machine types, like"],
  ["NEW_MACHINE_RESOURCES", "p3.2xlarge=rdma/hca:1", "must name known types"],
  ["MACHINE_RESOURCES", "cpu", "must be none, or resources like"],
  ["MACHINE_RESOURCES", "nvidia.com/gpu", "must be none, or resources like"],
  ["MACHINE_RESOURCES", "rdma/hca,none", "must be none, or resources like"],
  ["POD_CAPABILITIES", "SYS_ADMIN", "must be capabilities among SYS_PTRACE, IPC_LOCK and SYS_RESOURCE"],
  ["POD_CAPABILITIES", "SYS_PTRACE,ALL", "must be capabilities among SYS_PTRACE, IPC_LOCK and SYS_RESOURCE"],
  ["POD_USER_NAMESPACES", "yes", "must be 0, 1 or sudo"],
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

it("reads networks that environments may reach", () => {
  expect(read({ POD_NETWORK_ALLOW: "10.20.0.0/16=443+8080, 192.168.7.5/32,fd12:3456::/48=443" }).networkAllow).toEqual([
    { cidr: "10.20.0.0/16", ports: [443, 8080] },
    { cidr: "192.168.7.5/32", ports: [] },
    { cidr: "fd12:3456::/48", ports: [443] },
  ]);
});

it.each([
  "0.0.0.0/0",
  "168.0.0.0/7",
  "100.64.0.0/10",
  "192.0.0.0/24",
  "169.254.169.254/32",
  "127.0.0.1/32",
  "::/0",
  "::1/128",
  "fe80::/64",
  "fd00:ec2::254/128",
  "fc00::/7",
  "::ffff:10.0.0.0/104",
  "0:0:0:0:0:ffff:a00:0/104",
  "10.0.0.0",
  "10.0.0.0/33",
  "10.0.0/8",
  "10.0.0.0/8=0",
  "10.0.0.0/8=65536",
  "10.0.0.0/8=",
  "mirror.test",
])("does not let environments reach %s", (network) => {
  expect(() => read({ POD_NETWORK_ALLOW: network })).toThrow("Bad settings:\n  POD_NETWORK_ALLOW must ");
});

it("reads shared claims", () => {
  expect(read({ SHARED_CLAIMS: "datasets=/data/sets:ro, scratch=/data/scratch:rw" }).sharedClaims).toEqual([
    { name: "datasets", path: "/data/sets", isReadOnly: true },
    { name: "scratch", path: "/data/scratch", isReadOnly: false },
  ]);
});

it.each([
  "datasets",
  "datasets=/data",
  "datasets=data:ro",
  "datasets=/:rw",
  "datasets=/data/:ro",
  "datasets=/data/../etc:ro",
  "datasets=/etc/ssl:ro",
  "datasets=/lib64:ro",
  "datasets=/workspace:rw",
  "datasets=/home/dev8:rw",
  "datasets=/.berth:rw",
  `volume-${"a".repeat(40)}=/data:rw`,
  "vol-0123456789abcdef0=/data:rw",
  "a=/data:ro,b=/data/b:ro",
  "a=/data/a:ro,b=/data:ro",
  "a=/data:ro,a=/more:rw",
])("refuses the shared claim %s", (claim) => {
  expect(() => read({ SHARED_CLAIMS: claim })).toThrow("Bad settings:\n  SHARED_CLAIMS must ");
});
