import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { sumRequests } from "../client/quantities.ts";
import type { Pod } from "../objects.ts";
import { readManifests } from "./manifests.ts";
import { fillPrepull, type PrepullSetup } from "./prepull.ts";

const manifests = await readManifests(fileURLToPath(new URL("../../../deploy/kubernetes/prepull", import.meta.url)));
const setup: PrepullSetup = {
  images: ["nvcr.io/nvidia/pytorch:24.10-py3", "jax:1"],
  toolsImage: "registry.test/berth-tools:1",
  deployment: "berth-dev",
  nodeTypes: [],
  tolerations: [],
  pods: {},
};

interface Filled {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector: { readonly matchLabels: Record<string, string> };
    readonly template: { readonly metadata: object; readonly spec: Pod["spec"] };
  };
}

const fill = (changes: Partial<PrepullSetup> = {}) => {
  const [daemonSet] = fillPrepull(manifests, { ...setup, ...changes });
  return daemonSet as unknown as Filled;
};
const podOf = (changes?: Partial<PrepullSetup>) => fill(changes).spec.template.spec;

it("each image sleeps in a container of its own, by a program of the tools image", () => {
  const { initContainers, containers } = podOf();

  expect(initContainers).toMatchObject([
    { image: setup.toolsImage, command: ["/tools/supervisor", "install", "/.berth"] },
  ]);
  expect(containers?.map(({ name, image }) => [name, image])).toEqual([
    ["image-0", "nvcr.io/nvidia/pytorch:24.10-py3"],
    ["image-1", "jax:1"],
  ]);
  expect(containers?.every(({ command }) => command?.[0] === "/.berth/busybox")).toBe(true);
});

it("its pods take no units from jobs, and get no GPUs", () => {
  const spec = podOf();

  expect(sumRequests({ metadata: {}, spec } as unknown as Pod)).toEqual({ gpus: 0, cpus: 0, memoryMb: 0 });
  for (const container of spec.containers ?? []) {
    expect(container).toMatchObject({ env: [{ name: "NVIDIA_VISIBLE_DEVICES", value: "void" }] });
  }
});

it("no container has rights or an identity", () => {
  const spec = podOf();

  expect(spec).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } });
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    expect(container).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
    });
  }
});

it("each stage on a cluster has a DaemonSet of its own, which selects its own pods", () => {
  const [ofStage, ofNone] = [fill(), fill({ deployment: undefined })];

  expect([ofStage.metadata.name, ofNone.metadata.name]).toEqual(["berth-dev-prepull", "berth-prepull"]);
  for (const { metadata, spec } of [ofStage, ofNone]) {
    expect(spec.selector.matchLabels).toEqual({ "app.kubernetes.io/name": metadata.name });
    expect(spec.template.metadata).toMatchObject({ labels: spec.selector.matchLabels });
  }
});

it("its pods run on machines with GPUs alone, also on those that a rule names", () => {
  const nodeTypes = [
    { label: "gpu.vendor/model", value: "h100", instanceType: "p5.48xlarge" },
    { label: "kubernetes.io/os", value: "linux", instanceType: "m7i.8xlarge" },
  ];

  const terms = JSON.stringify(podOf({ nodeTypes }));

  expect(terms).toContain('{"key":"node.kubernetes.io/instance-type","operator":"In","values":["p5.48xlarge"]}');
  expect(terms).toContain('{"key":"gpu.vendor/model","operator":"In","values":["h100"]}');
  expect(terms).not.toContain('"operator":"In","values":["m7i.8xlarge"]');
  expect(terms).not.toContain('"operator":"In","values":["linux"]');
});

it("its pods have the tolerations, Secrets, node selector and labels of environments", () => {
  const tolerations = [{ key: "dedicated", value: "research", effect: "NoSchedule" as const }];
  const patch = {
    metadata: { labels: { team: "ml" }, annotations: { "a.test/b": "c" } },
    spec: { nodeSelector: { pool: "ml" }, priorityClassName: "research" },
  };

  const { metadata, spec } = fill({ tolerations, pods: { pullSecrets: ["registry"], patch } }).spec.template;

  expect(metadata).toEqual({
    labels: { team: "ml", "app.kubernetes.io/name": "berth-dev-prepull" },
    annotations: patch.metadata.annotations,
  });
  expect(spec).toMatchObject({
    imagePullSecrets: [{ name: "registry" }],
    nodeSelector: { pool: "ml" },
    priorityClassName: "berth-prepull",
    tolerations: [
      { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
      { key: "dedicated", operator: "Equal", value: "research", effect: "NoSchedule" },
    ],
  });
});

it("no example is left", () => {
  expect(JSON.stringify(manifests)).toContain("set-this");
  expect(JSON.stringify(fillPrepull(manifests, setup))).not.toContain("set-this");
});
