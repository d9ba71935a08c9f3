import { describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { Job, Node, Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { jobOfRun, secondsUntil } from "./run-job.ts";
import { buildRunParts, listPartPaths } from "./run-parts.ts";

const uid = "a".repeat(32);
const now = Date.UTC(2026, 0, 1);
const claim = (digit: string) => `volume-${digit.repeat(40)}`;
const toVolume = (digit: string, zone = "z") => ({ id: `${claim(digit)}.01234567-89ab-cdef-0123-456789abcdef`, zone });

const getRun = (changes: Partial<Run> = {}): Run => ({
  uid,
  run: 1,
  key: "owner#o#env#gpu-dev|j",
  name: "my training",
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
  until: now + 3_600_000,
  ...changes,
});

interface Made {
  readonly spec: {
    readonly completions: number;
    readonly parallelism: number;
    readonly template: { readonly metadata: object; readonly spec: Record<string, unknown> };
  };
}

const made = (changes: Partial<Run> = {}, machine = 0) =>
  jobOfRun(getRun(changes), machine, { deployment: "one", now }) as Made;
const buildPod = (changes: Partial<Run> = {}, machine = 0) => made(changes, machine).spec.template.spec;
const buildMain = (changes: Partial<Run> = {}, machine = 0) =>
  (buildPod(changes, machine).containers as [Record<string, unknown>])[0];
const getNodes = (changes: Partial<Run>, machine = 0) => {
  const { nodeAffinity } = buildPod(changes, machine).affinity as {
    nodeAffinity: Record<string, { nodeSelectorTerms: unknown }>;
  };
  return nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
};
const name = (node: string) => ({ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] });

const nodeWith = (storage: string) =>
  ({ metadata: { name: "one" }, status: { allocatable: { "ephemeral-storage": storage } } }) as unknown as Node;

describe("the disk of a node", () => {
  const resourcesOn = (nodes: readonly Node[], changes: Partial<Run> = {}) => {
    const { spec } = (jobOfRun(getRun(changes), 0, { deployment: "fixture", now, nodes }) as Made).spec.template;
    const [main] = spec.containers as { resources: Record<"limits" | "requests", Record<string, string>> }[];
    return [main?.resources.limits["ephemeral-storage"], main?.resources.requests["ephemeral-storage"]];
  };

  it("is shared like its GPUs, and a whole machine has nine tenths of it", () => {
    const shared = { instanceType: "m7i.8xlarge", gpusPerMachine: 0, shares: [{ node: "one", units: 8 }] };
    const whole = { instanceType: "c7i.8xlarge", gpusPerMachine: 0, shares: [{ node: "one", units: 1 }] };

    expect(resourcesOn([nodeWith("1000Gi")])).toEqual(["460800Mi", "460800Mi"]);
    expect(resourcesOn([nodeWith("1000Gi")], shared)).toEqual(["230400Mi", "230400Mi"]);
    expect(resourcesOn([nodeWith("1000Gi")], whole)).toEqual(["921600Mi", "921600Mi"]);
  });

  it("is not limited if its size is unknown", () => {
    expect(resourcesOn([])).toEqual([undefined, undefined]);
    expect(resourcesOn([nodeWith("none")])).toEqual([undefined, undefined]);
    expect(resourcesOn([nodeWith("1Ti")], { shares: [{ node: null, units: 4 }] })).toEqual([undefined, undefined]);
  });
});

describe("a disk", () => {
  it("is writable for an image with its own user, and is not traversed at each start", () => {
    const mounts = [{ volume: toVolume("1"), path: "/workspace" }];

    expect(buildPod({ mounts }).securityContext).toMatchObject({
      fsGroup: 1000,
      fsGroupChangePolicy: "OnRootMismatch",
    });
    expect(buildPod().securityContext).toEqual({ seccompProfile: { type: "RuntimeDefault" } });
  });
});

describe("the Job of a run", () => {
  it("names the SSH port once, in its first machine", () => {
    const shares = [
      { node: "one", units: 8 },
      { node: "two", units: 8 },
    ];
    const run = getRun({
      shares,
      ports: [
        { port: 22, kind: "ssh" },
        { port: 8080, kind: "http" },
      ],
    });
    const listPorts = (machine: number, sshPort?: number) => {
      const { spec } = (jobOfRun(run, machine, { deployment: "one", now, sshPort }) as Made).spec.template;
      return (spec.containers as [{ ports: object[] }])[0].ports;
    };

    expect(listPorts(0, 22)).toEqual([{ name: "ssh", containerPort: 22 }, { containerPort: 8080 }]);
    expect(listPorts(0)).toEqual([{ containerPort: 22 }, { containerPort: 8080 }]);
    expect(listPorts(1, 22)).toEqual([]);
  });

  it("is never restarted or moved by the cluster", () => {
    expect(made()).toMatchObject({
      metadata: { name: `${uid}-r1` },
      spec: { backoffLimit: 0, podReplacementPolicy: "Failed", completions: 1, activeDeadlineSeconds: 3600 },
    });
    expect(buildPod()).toMatchObject({ restartPolicy: "Never" });
  });

  it("is one of several on several machines, each with one pod, and only the first has its disk", () => {
    const shares = ["two", "one"].map((node) => ({ node, units: 8 }));
    const ports = [{ port: 8080, kind: "http" }] as const;
    const changes: Partial<Run> = { shares, gpusPerMachine: 8, ports, mounts: [{ volume: toVolume("a"), path: "/w" }] };

    const [first, second] = [0, 1].map((machine) => {
      const { metadata, spec } = made(changes, machine) as Made & { readonly metadata: { readonly name: string } };
      const { hostname, subdomain, volumes } = spec.template.spec as Record<string, unknown[]>;
      const { readinessProbe, env } = buildMain(changes, machine) as {
        readinessProbe: unknown;
        env: { name: string }[];
      };
      const rank = env.find((variable) => variable.name === "NODE_RANK");
      const nodes = getNodes(changes, machine);
      return {
        name: metadata.name,
        hostname,
        subdomain,
        volumes: volumes?.length,
        isAsked: !!readinessProbe,
        rank,
        nodes,
      };
    });

    const subdomain = `run-${uid}-r1`;
    const rank = (value: string) => ({ name: "NODE_RANK", value });
    expect(first).toEqual({
      name: `${uid}-r1`,
      hostname: "machine-0",
      subdomain,
      volumes: 3,
      isAsked: true,
      rank: rank("0"),
      nodes: [name("two")],
    });
    expect(second).toEqual({
      name: `${uid}-r1-m1`,
      hostname: "machine-1",
      subdomain,
      volumes: 2,
      isAsked: false,
      rank: rank("1"),
      nodes: [name("one")],
    });
  });

  it("says to each of several machines which it is, and where all of them are", () => {
    const shares = ["three", "one", "two"].map((node) => ({ node, units: 8 }));
    const changes: Partial<Run> = { shares, gpusPerMachine: 8 };
    const { env, volumeMounts } = buildMain(changes, 2) as Record<"env" | "volumeMounts", object[]>;
    const { template } = made(changes, 2).spec;

    const address = (machine: number) => `machine-${machine}.run-${uid}-r1`;
    const told = { NODE_RANK: "2", NNODES: "3", WORLD_SIZE: "24", MASTER_ADDR: address(0), MASTER_PORT: "29500" };
    const variables = Object.entries({ ...told, BERTH_HOSTFILE: "/etc/berth/hostfile" });
    expect(env).toEqual(expect.arrayContaining(variables.map(([name, value]) => ({ name, value }))));
    const hostfile = [0, 1, 2].map((machine) => `${address(machine)} slots=8\n`).join("");
    expect(template.metadata).toMatchObject({ annotations: { "berth/hostfile": hostfile } });
    const fieldRef = { fieldPath: "metadata.annotations['berth/hostfile']" };
    expect(template.spec.volumes).toContainEqual({
      name: "hosts",
      downwardAPI: { items: [{ path: "hostfile", fieldRef }] },
    });
    expect(volumeMounts).toContainEqual({ name: "hosts", mountPath: "/etc/berth", readOnly: true });
  });

  it("keeps the user's WORLD_SIZE, and has none of its own on one machine", () => {
    const shares = ["two", "one"].map((node) => ({ node, units: 8 }));
    const getValues = (changes: Partial<Run>) => {
      const { env } = buildMain(changes) as { env: { name: string; value: string }[] };
      return env.filter(({ name }) => name === "WORLD_SIZE" || name === "BERTH_HOSTFILE").map(({ value }) => value);
    };

    expect(getValues({ shares, env: { WORLD_SIZE: "2" } })).toEqual(["2", "/etc/berth/hostfile"]);
    expect(getValues({})).toEqual([]);
  });

  it("identifies the run on itself and on its pods", () => {
    const { metadata, spec } = made() as unknown as Made & { metadata: { labels: object; annotations: object } };

    expect(spec.template.metadata).toMatchObject({ labels: metadata.labels, annotations: metadata.annotations });
    expect(metadata).toMatchObject({
      labels: { "berth/uid": uid, "berth/run": "1", "berth/pool": "h100", "berth/name": "my_training" },
      annotations: { "berth/key": "owner#o#env#gpu-dev|j", "berth/name": "my training" },
    });
  });

  it("has the label that the disruption budget leaves out only if it is evictable", () => {
    const labelsOf = (changes: Partial<Run>) =>
      (made(changes) as unknown as { spec: { template: { metadata: { labels: object } } } }).spec.template.metadata
        .labels;

    expect(labelsOf({ isEvictable: true })).toHaveProperty(["berth/evictable"], "true");
    expect(labelsOf({})).not.toHaveProperty(["berth/evictable"]);
  });

  it("gives processes nothing of the cluster", () => {
    expect(buildPod()).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      priorityClassName: "berth-environment",
      securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(buildMain()).toMatchObject({ securityContext: { allowPrivilegeEscalation: false } });
  });

  it("stays on a silent node", () => {
    expect(buildPod().tolerations).toEqual(
      expect.arrayContaining(
        ["not-ready", "unreachable"].map((subject) => ({
          key: `node.kubernetes.io/${subject}`,
          operator: "Exists",
          effect: "NoExecute",
        })),
      ),
    );
  });

  it("is placed on the granted node, or on any node of its type before a node is granted", () => {
    const ofType = { key: "node.kubernetes.io/instance-type", operator: "In", values: ["p5.48xlarge"] };
    const mounts = [{ volume: toVolume("a", "us-east-1b"), path: "/workspace" }];
    const zone = { key: "topology.kubernetes.io/zone", operator: "In", values: ["us-east-1b"] };

    expect(getNodes({ shares: [{ node: null, units: 4 }] })).toEqual([{ matchExpressions: [ofType] }]);
    expect(getNodes({ shares: [{ node: null, units: 4 }], mounts })).toEqual([{ matchExpressions: [ofType, zone] }]);
    const shares = [
      { node: "one", units: 8 },
      { node: null, units: 8, zone: "us-east-1b" },
    ];
    expect([getNodes({ shares }), getNodes({ shares }, 1)]).toEqual([
      [name("one")],
      [{ matchExpressions: [ofType, zone] }],
    ]);
    expect(getNodes({ shares: shares.slice(1), mounts })).toEqual([{ matchExpressions: [ofType, zone] }]);
    const group = { key: "eks.amazonaws.com/nodegroup", operator: "In", values: ["p5-b"] };
    expect(getNodes({ shares: [{ node: null, units: 8, zone: "us-east-1b", group: "p5-b" }] })).toEqual([
      { matchExpressions: [ofType, zone, group] },
    ]);
    expect(getNodes({ mounts })).toEqual([name("one")]);
  });

  it("passes a command to the shell unchanged, with Kubernetes's own syntax escaped", () => {
    const command = "echo $HOME $(date) $$ '$(HOSTNAME)'\nexit 3";

    const { command: shell, args } = buildMain({ command });

    expect(shell).toEqual(["/bin/sh", "-c"]);
    expect(args).toEqual(["echo $$HOME $$(date) $$$$ '$$(HOSTNAME)'\nexit 3"]);
  });

  it("stays alive without a command, or runs the image's if that serves a port", () => {
    const ports = [
      { port: 22, kind: "ssh" },
      { port: 8080, kind: "http" },
    ] as const;

    expect(buildMain({ command: undefined })).toMatchObject({ args: [expect.stringContaining("sleep")] });
    expect(buildMain({ command: undefined, ports: [ports[0]] })).toMatchObject({ command: ["/bin/sh", "-c"] });
    expect(buildMain({ command: undefined, ports }).command).toBeUndefined();
    expect(buildMain({ command: "serve", ports })).toMatchObject({ args: ["serve"] });
  });

  it("is ready once the first two ports of its own answer", () => {
    const ports = [
      { port: 22, kind: "ssh" },
      { port: 5432, kind: "tcp" },
      { port: 8080, kind: "http" },
    ] as const;

    expect(buildMain({ ports })).toMatchObject({
      readinessProbe: { tcpSocket: { port: 5432 } },
      startupProbe: { tcpSocket: { port: 8080 } },
    });
    expect(buildMain({ ports: [ports[0]] })).not.toHaveProperty("readinessProbe");
    expect(buildMain({ ports: [ports[1]] })).not.toHaveProperty("startupProbe");
  });

  it("contains no value of the environment, which is in a Secret", () => {
    const env = { TOKEN: 'a "b"\n$(c)' };

    expect(JSON.stringify(made({ env }))).not.toContain("TOKEN");
    expect(buildMain({ env }).envFrom).toEqual([{ secretRef: { name: `${uid}-r1` } }]);
    expect(buildMain().envFrom).toBeUndefined();
  });

  it("has no variable that would show foreign GPUs", () => {
    const gpus = { NVIDIA_VISIBLE_DEVICES: "all", NVIDIA_MIG_CONFIG_DEVICES: "all" };
    const place = { paths: buildPaths("jobs"), deployment: "one" };

    expect(buildMain({ env: gpus }).envFrom).toBeUndefined();
    expect(buildRunParts(getRun({ env: { ...gpus, NVIDIA_TF32_OVERRIDE: "0" } }), place)).toMatchObject([
      { body: { kind: "Secret", stringData: { NVIDIA_TF32_OVERRIDE: "0" } } },
    ]);
    expect(JSON.stringify(buildRunParts(getRun({ env: { ...gpus, A: "1" } }), place))).not.toContain("NVIDIA");
  });

  it("has Berth's variables, which users cannot override", () => {
    const mounts = [{ volume: toVolume("a"), path: "/workspace" }];
    const ports = [
      { port: 22, kind: "ssh" },
      { port: 8080, kind: "http" },
    ] as const;

    const { env } = buildMain({ mounts, ports }) as { env: { name: string; value: string }[] };

    expect(Object.fromEntries(env.map(({ name: variable, value }) => [variable, value]))).toEqual({
      BERTH_GPUS: "4",
      BERTH_RUN: `${uid}-r1`,
      HOME: "/workspace",
      WORKSPACE: "/workspace",
      BERTH_VOLUME_1: "/workspace",
      PORT_22: "22",
      PORT_8080: "8080",
      PORT: "8080",
    });
  });

  it.each<[where: string, paths: readonly string[], env: Record<string, string>, home: string | undefined]>([
    ["on its disk", ["/workspace"], {}, "/workspace"],
    ["on its first volume", ["/data", "/models"], {}, "/data"],
    ["on the volume below /home", ["/data", "/home/dev8/cache", "/home/dev8"], {}, "/home/dev8"],
    ["where the user wants it", ["/workspace"], { HOME: "/root" }, undefined],
    ["the image's without a disk", [], {}, undefined],
  ])("has its home %s", (_, paths, wanted, home) => {
    const mounts = paths.map((path, at) => ({ volume: toVolume(String(at)), path }));

    const { env } = buildMain({ mounts, env: wanted }) as { env: { name: string; value: string }[] };

    expect(env.find(({ name }) => name === "HOME")?.value).toBe(home);
  });

  it("mounts each volume at its path, by the name of its claim", () => {
    const mounts = ["a", "b"].map((id) => ({ volume: toVolume(id), path: `/${id}` }));

    expect(buildPod({ mounts }).volumes).toEqual([
      { name: "shm", emptyDir: { medium: "Memory" } },
      { name: "volume-0", persistentVolumeClaim: { claimName: claim("a") } },
      { name: "volume-1", persistentVolumeClaim: { claimName: claim("b") } },
    ]);
    expect(made({ mounts }).spec.template.metadata).toMatchObject({
      labels: { [`mounts.berth/${claim("a")}`]: "", [`mounts.berth/${claim("b")}`]: "" },
    });
    expect(buildMain({ mounts }).volumeMounts).toEqual([
      { name: "shm", mountPath: "/dev/shm" },
      { name: "volume-0", mountPath: "/a" },
      { name: "volume-1", mountPath: "/b" },
    ]);
  });

  it("is refused if a volume is not a claim", () => {
    const mounts = [{ volume: { id: "../secrets", zone: "z" }, path: "/a" }];

    expect(() => made({ mounts })).toThrow("That is not a volume of this cluster");
  });

  it.each([
    [1, 1],
    [1_000, 1],
    [1_001, 2],
    [-5_000, 1],
  ])("that may run for %d ms more has a deadline of %d s, always positive", (ms, seconds) => {
    expect(secondsUntil(now + ms, now)).toBe(seconds);
  });
});

describe("the further objects of a run", () => {
  const paths = buildPaths("environments");
  const place = { paths, deployment: "one" };
  const core = "/api/v1/namespaces/environments";
  const secret = `${core}/secrets/${uid}-r1`;
  const network = [
    `${core}/services/run-${uid}-r1`,
    `/apis/networking.k8s.io/v1/namespaces/environments/networkpolicies/run-${uid}-r1`,
  ];
  const shares = ["one", "two"].map((node) => ({ node, units: 8 }));

  it("are a Secret for an environment, and a network for several machines", () => {
    const pathsFor = (changes: Partial<Run>) => buildRunParts(getRun(changes), place).map(({ path }) => path);

    expect(pathsFor({})).toEqual([]);
    expect(pathsFor({ env: { A: "b" } })).toEqual([secret]);
    expect(pathsFor({ shares })).toEqual(network);
    expect(buildRunParts(getRun({ env: { A: "b" } }), place)[0]?.body).toMatchObject({ stringData: { A: "b" } });
  });

  const login = `${paths.secrets}/registry-${uid}-r1`;
  const ssh = `${paths.services}/ssh-${uid}-r1`;
  const getJob = (changes: Partial<Run>) => made(changes) as unknown as Job;
  /** The pod that the cluster creates for its Job. */
  const madePod = (changes: Partial<Run>) => {
    const { template } = getJob(changes).spec as unknown as { template: Pick<Pod, "metadata" | "spec"> };
    const owner = { kind: "Job", name: `${uid}-r1`, uid: "job" };
    return { ...template, metadata: { ...template.metadata, name: `${uid}-r1-x`, ownerReferences: [owner] } };
  };

  it.each([
    ["Job says that it was made", (changes: Partial<Run>) => ({ jobs: [getJob(changes)], pods: [] }), []],
    // The Job may have been deleted without its dependents.
    ["pod says where its Job is gone", (changes: Partial<Run>) => ({ jobs: [], pods: [madePod(changes)] }), [ssh]],
  ])("are removed as its %s", (_, getObjects, owned) => {
    const removed = (changes: Partial<Run>) => listPartPaths({ uid, run: 1 }, getObjects(changes), paths);

    expect(removed({})).toEqual(owned);
    expect(removed({ env: { A: "b" } })).toEqual([secret, ...owned]);
    expect(removed({ registryLogin: { username: "u", password: "p" } })).toEqual([login, ...owned]);
    expect(removed({ shares, gpusPerMachine: 8 })).toEqual([...network, ...owned]);
  });

  it("are all removed if Job and pod are gone", () => {
    const page = [`${paths.services}/web-${uid}-r1`, `${paths.ingresses}/web-${uid}-r1`];
    expect(listPartPaths({ uid, run: 1 }, { jobs: [], pods: [] }, paths)).toEqual([
      secret,
      login,
      ...network,
      ...page,
      ssh,
    ]);
  });
});

describe("a login to a registry", () => {
  const registryLogin = { username: "robot", password: "pass" };

  it.each([
    ["busybox", "https://index.docker.io/v1/"],
    ["team/train:1", "https://index.docker.io/v1/"],
    ["docker.io/team/train", "https://index.docker.io/v1/"],
    ["index.docker.io/team/train", "https://index.docker.io/v1/"],
    ["localhost:5000/train", "localhost:5000"],
    ["REGISTRY.test/train", "REGISTRY.test"],
    [`registry.test:5000/team/train@sha256:${"0".repeat(64)}`, "registry.test:5000"],
  ])("is for the registry of the image %s", (image, server) => {
    const [login] = buildRunParts(getRun({ image, registryLogin }), { paths: buildPaths("n"), deployment: "one" });

    const text = JSON.stringify({ auths: { [server]: registryLogin } });
    expect(login?.body).toMatchObject({ stringData: { ".dockerconfigjson": text } });
  });

  it("is used by each machine, before the credentials of the deployment", () => {
    const run = getRun({ registryLogin, shares: ["one", "two"].map((node) => ({ node, units: 4 })) });
    const surroundings = { deployment: "one", now, pods: { pullSecrets: ["mirror"] } };
    const { spec } = jobOfRun(run, 1, surroundings) as Made;

    expect(spec.template.spec.imagePullSecrets).toEqual([{ name: `registry-${uid}-r1` }, { name: "mirror" }]);
    expect(made().spec.template.spec).not.toHaveProperty("imagePullSecrets");
  });
});

it("has the grace period of the run, or else that of the deployment", () => {
  const graceOf = (run: Partial<Run>) => {
    const { spec } = jobOfRun(getRun(run), 0, { deployment: "one", now, pods: { graceSeconds: 60 } }) as Made;
    return spec.template.spec.terminationGracePeriodSeconds;
  };

  expect(graceOf({ graceSeconds: 120 })).toBe(120);
  expect(graceOf({})).toBe(60);
});
