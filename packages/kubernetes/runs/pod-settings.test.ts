import { describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { type Job, listDiskNames, type Node } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { archiveJob } from "../volumes/archive-job.ts";
import type { PodSettings } from "./pod-settings.ts";
import { type JobSurroundings, jobOfRun } from "./run-job.ts";
import { buildRunParts, listPartPaths } from "./run-parts.ts";

const run: Run = {
  uid: "a".repeat(32),
  run: 1,
  key: "owner#o#env#gpu-dev|j",
  name: "training",
  pool: "h100",
  instanceType: "p5.48xlarge",
  image: "docker.io/library/busybox",
  command: "train",
  env: {},
  shares: [{ node: "one", units: 4 }],
  gpusPerMachine: 4,
  mounts: [],
  ports: [],
  resources: null,
  until: 3_600_000,
};

interface MadePod {
  readonly volumes: readonly {
    readonly name: string;
    readonly persistentVolumeClaim?: { readonly claimName: string };
  }[];
  readonly hostUsers?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly initContainers: readonly { readonly securityContext: Privileges }[];
  readonly containers: readonly [
    {
      readonly command: readonly string[];
      readonly volumeMounts: readonly object[];
      readonly resources: Record<"limits" | "requests", Record<string, string>>;
      readonly securityContext: Privileges;
    },
  ];
}

interface Privileges {
  readonly allowPrivilegeEscalation: boolean;
}

interface Template {
  readonly metadata: Record<"labels" | "annotations", Readonly<Record<string, string>>>;
  readonly spec: MadePod;
}

function buildTemplate(pods: PodSettings, changes: Partial<Run> = {}, more: Partial<JobSurroundings> = {}): Template {
  const surroundings = { deployment: "one", now: 0, pods, ...more };
  return (jobOfRun({ ...run, ...changes }, 0, surroundings) as { spec: { template: Template } }).spec.template;
}

const buildPod = (...input: Parameters<typeof buildTemplate>) => buildTemplate(...input).spec;

describe("the processors of a pod", () => {
  it("are limited to its share", () => {
    const { limits, requests } = buildPod({}).containers[0].resources;

    expect(limits).toEqual({ cpu: "86000m", memory: "943718Mi", "nvidia.com/gpu": "4" });
    expect(requests).toEqual(limits);
    expect(buildPod({ cpuLimit: "share" })).toEqual(buildPod({}));
  });

  it("have no limit if the setting says so, while memory and GPUs have theirs", () => {
    const { limits, requests } = buildPod({ cpuLimit: "none" }).containers[0].resources;

    expect(limits).toEqual({ memory: "943718Mi", "nvidia.com/gpu": "4" });
    expect(requests).toEqual({ cpu: "86000m", ...limits });
  });
});

describe("the grace period of a pod", () => {
  it.each([
    [undefined, 10],
    [120, 120],
  ])("with the setting %s is %i seconds, for the kubelet and the supervisor", (graceSeconds, seconds) => {
    const pod = buildPod({ graceSeconds }, {}, { toolsImage: "tools" });

    expect(pod.terminationGracePeriodSeconds).toBe(seconds);
    expect(pod.containers[0].command.join(" ")).toContain(`--grace ${seconds}s `);
  });
});

describe("EFA and huge pages", () => {
  const nodeWith = (name: string, allocatable: Record<string, string>) =>
    ({ metadata: { name }, status: { allocatable } }) as unknown as Node;
  const nodes = [
    nodeWith("one", { "vpc.amazonaws.com/efa": "32", "hugepages-2Mi": "10256Mi", "rdma/hca": "8" }),
    nodeWith("two", { "vpc.amazonaws.com/efa": "0", "hugepages-2Mi": "0" }),
  ];
  const extras = (changes: Partial<Run>, pods: PodSettings = {}) => {
    const { limits, requests } = buildPod(pods, changes, { nodes }).containers[0].resources;
    expect(limits).toEqual(requests);
    const { cpu, memory, "nvidia.com/gpu": gpus, ...others } = limits;
    return others;
  };
  const whole = { gpusPerMachine: 8, shares: [{ node: "one", units: 8 }] };

  it("are those that the node offers, for a run of the whole machine", () => {
    expect(extras(whole)).toEqual({ "vpc.amazonaws.com/efa": "32", "hugepages-2Mi": "10256Mi" });
  });

  it("are left out for a part of a machine, a node without them and one that does not exist yet", () => {
    expect(extras({})).toEqual({});
    expect(extras({ ...whole, shares: [{ node: "two", units: 8 }] })).toEqual({});
    expect(extras({ ...whole, shares: [{ node: null, units: 8 }] })).toEqual({});
    expect(extras({ instanceType: "c7i.8xlarge", gpusPerMachine: 0, shares: [{ node: "one", units: 1 }] })).toEqual({});
  });

  it("are those of its type in the setting, for a machine that does not exist yet", () => {
    const newMachineResources = { "p5.48xlarge": { "vpc.amazonaws.com/efa": "32", "rdma/hca": "8" } };
    const isNew = { ...whole, shares: [{ node: null, units: 8 }] };

    expect(extras(isNew, { newMachineResources })).toEqual({ "vpc.amazonaws.com/efa": "32" });
    expect(extras(isNew, { newMachineResources, machineResources: [] })).toEqual({});
    expect(extras({ ...isNew, instanceType: "p4d.24xlarge" }, { newMachineResources })).toEqual({});
    const hugePages = { "hugepages-2Mi": "10256Mi" };
    expect(extras(isNew, { newMachineResources: { "p5.48xlarge": hugePages } })).toEqual(hugePages);
    expect(extras({ ...isNew, gpusPerMachine: 4 }, { newMachineResources })).toEqual({});
    expect(extras({ ...whole, shares: [{ node: "two", units: 8 }] }, { newMachineResources })).toEqual({});
  });

  it("can be other resources, or none", () => {
    expect(extras(whole, { machineResources: ["rdma/hca"] })).toEqual({ "rdma/hca": "8" });
    expect(extras(whole, { machineResources: [] })).toEqual({});
  });
});

describe("the privileges of a pod", () => {
  it("are those of the container runtime, and its users those of the node", () => {
    const pod = buildPod({ capabilities: [], userNamespaces: false });

    expect(pod.containers[0].securityContext).toEqual({ allowPrivilegeEscalation: false });
    expect(pod).not.toHaveProperty("hostUsers");
  });

  it("include the capabilities of the setting, in its main container alone", () => {
    const pod = buildPod({ capabilities: ["SYS_PTRACE", "IPC_LOCK"] }, {}, { toolsImage: "tools" });

    expect(pod.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { add: ["SYS_PTRACE", "IPC_LOCK"] },
    });
    expect(JSON.stringify(pod).match(/SYS_PTRACE/g)).toHaveLength(1);
  });

  it("are those of users of its own if the setting says so", () => {
    expect(buildPod({ userNamespaces: true }).hostUsers).toBe(false);
  });

  it("may grow by sudo only with users of its own, and only in its main container", () => {
    const mayGrow = (settings: PodSettings) => {
      const { containers, initContainers } = buildPod(settings, {}, { toolsImage: "tools" });
      return [...initContainers, ...containers].map(({ securityContext }) => securityContext.allowPrivilegeEscalation);
    };

    expect(mayGrow({ userNamespaces: true, allowsSudo: true })).toEqual([false, true]);
    expect(mayGrow({ userNamespaces: true })).toEqual([false, false]);
    expect(mayGrow({ allowsSudo: true })).toEqual([false, false]);
  });
});

describe("credentials of private registries", () => {
  it("are named in the pods of environments and of archives", () => {
    const pullSecrets = ["registry", "mirror"];
    const archive = {
      image: "tools",
      volume: "vol-1",
      blob: "b.zip",
      claim: "vol-1",
      owner: { uid: run.uid, key: run.key },
      pullSecrets,
    };
    const job = archiveJob({ deployment: "one" }, archive) as unknown as { spec: { template: { spec: object } } };

    const named = { imagePullSecrets: [{ name: "registry" }, { name: "mirror" }] };
    expect(buildPod({ pullSecrets })).toMatchObject(named);
    expect(job.spec.template.spec).toMatchObject(named);
    expect(buildPod({ pullSecrets: [] })).not.toHaveProperty("imagePullSecrets");
  });
});

describe("a patch of pods", () => {
  it("adds its fields, and changes none of Berth's own labels and annotations", () => {
    const spec = { nodeSelector: { pool: "research" }, runtimeClassName: "nvidia", priorityClassName: "research" };
    const labels = { team: "research", "berth/uid": "other" };
    const annotations = { "a.test/b": "c", "karpenter.sh/do-not-disrupt": "false" };
    const plain = buildTemplate({});

    const patched = buildTemplate({ patch: { metadata: { labels, annotations }, spec } });

    expect(patched.metadata).toEqual({
      labels: { ...plain.metadata.labels, team: "research" },
      annotations: { ...plain.metadata.annotations, "a.test/b": "c" },
    });
    expect(patched.spec).toEqual({ ...plain.spec, ...spec });
  });
});

describe("allowed networks", () => {
  const allowed = [
    { cidr: "10.20.0.0/16", ports: [443] },
    { cidr: "10.30.0.5/32", ports: [] },
  ];
  const rules = [
    { to: [{ ipBlock: { cidr: "10.20.0.0/16" } }], ports: [{ port: 443, protocol: "TCP" }] },
    { to: [{ ipBlock: { cidr: "10.30.0.5/32" } }] },
  ];
  const place = { paths: buildPaths("environments"), deployment: "one" };
  const several = { shares: ["one", "two"].map((node) => ({ node, units: 8 })), gpusPerMachine: 8 };
  const getParts = (changes: Partial<Run>) => buildRunParts({ ...run, ...changes }, place, allowed);
  const ownPods = { matchLabels: { "berth/uid": run.uid, "berth/run": "1" } };

  it("are a policy of outgoing traffic of the run's own pods", () => {
    expect(getParts({})).toMatchObject([
      { body: { kind: "NetworkPolicy", spec: { podSelector: ownPods, policyTypes: ["Egress"], egress: rules } } },
    ]);
    expect(getParts({})[0]?.body).not.toHaveProperty("spec.ingress");
  });

  it("are beside the other machines in the policy of several", () => {
    const [, policy] = getParts(several);

    expect(policy?.body).toMatchObject({
      spec: { ingress: [{ from: [{ podSelector: ownPods }] }], egress: [{ to: [{ podSelector: ownPods }] }, ...rules] },
    });
  });

  it.each([
    ["go with the run", { networkAllow: allowed }],
    ["leave no further object without the setting", { networkAllow: [] }],
  ])("%s", (_, pods: PodSettings) => {
    const job = jobOfRun(run, 0, { deployment: "one", now: 0, pods }) as Job;
    const made = buildRunParts(run, place, pods.networkAllow).map(({ path }) => path);

    // The Service of an SSH port belongs to the Job.
    expect(listPartPaths(run, { jobs: [job], pods: [] }, place.paths)).toEqual(made);
  });
});

describe("shared claims", () => {
  const sharedClaims = [
    { name: "datasets", path: "/data/sets", isReadOnly: true },
    { name: "scratch", path: "/scratch", isReadOnly: false },
  ];
  const disk = `volume-${"a".repeat(40)}`;
  const mountsAt = (path: string) => [
    { volume: { id: `${disk}.01234567-89ab-cdef-0123-456789abcdef`, zone: "z" }, path },
  ];

  it("are mounted beside the run's disk, and are not a disk of the run", () => {
    const pod = buildPod({ sharedClaims }, { mounts: mountsAt("/workspace") });

    expect(pod.volumes.slice(2)).toEqual([
      { name: "shared-0", persistentVolumeClaim: { claimName: "datasets", readOnly: true } },
      { name: "shared-1", persistentVolumeClaim: { claimName: "scratch" } },
    ]);
    expect(pod.containers[0].volumeMounts.slice(2)).toEqual([
      { name: "shared-0", mountPath: "/data/sets", readOnly: true },
      { name: "shared-1", mountPath: "/scratch" },
    ]);
    expect(listDiskNames({ spec: pod })).toEqual([disk]);
    expect(listDiskNames({ spec: buildPod({ sharedClaims }) })).toEqual([]);
  });

  it.each([
    ["/data/sets", ["scratch"]],
    ["/data", ["scratch"]],
    ["/scratch/mine", ["datasets"]],
    ["/scratches", ["datasets", "scratch"]],
  ])("give way to the run's own volume at %s", (path, names) => {
    const { volumes } = buildPod({ sharedClaims }, { mounts: mountsAt(path) });

    const mounted = volumes.flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
    expect(mounted).toEqual([disk, ...names]);
  });
});
