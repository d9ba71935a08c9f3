import { expect, it } from "vitest";
import type { Job, Node, Pod } from "../objects.ts";
import { noEvents, toObservation } from "./observation.ts";

const name = `${"a".repeat(32)}-r1`;
const marks = { resourceVersion: "1", creationTimestamp: "2026-01-01T12:00:00Z" };
const job: Job = { metadata: { name, uid: "u-job", ...marks, annotations: { "berth/ssh": "30022" } } };
const pod: Pod = {
  metadata: { name: `${name}-x`, uid: "u-pod", ...marks, ownerReferences: [{ kind: "Job", name, uid: "u-job" }] },
  spec: { nodeName: "one" },
  status: {
    phase: "Running",
    containerStatuses: [{ name: "main", state: { running: { startedAt: "2026-01-01T12:00:00Z" } } }],
  },
};

it.each([
  [
    "the external one",
    [
      ["InternalIP", "10.0.0.1"],
      ["ExternalIP", "52.0.0.1"],
    ],
    "52.0.0.1",
  ],
  ["an IPv6 one", [["ExternalIP", "2001:db8::1"]], "2001:db8::1"],
  [
    "an address, not other text of the node",
    [
      ["ExternalIP", "x; $(id)"],
      ["InternalIP", "10.0.0.1"],
    ],
    "10.0.0.1",
  ],
  [
    "no other text",
    [
      ["ExternalIP", "x; $(id)"],
      ["InternalIP", "one.example"],
    ],
    undefined,
  ],
])("users see this of a node's addresses: %s", (_, listed, ip) => {
  const addresses = listed.map(([type = "", address = ""]) => ({ type, address }));
  const node: Node = { metadata: { name: "one", uid: "u-one", ...marks }, spec: {}, status: { addresses } };

  const seen = toObservation(
    { jobs: [job], pods: [pod] },
    {
      now: 0,
      nodes: [node],
      ...noEvents,
    },
  );

  expect(seen?.address).toEqual(ip === undefined ? null : { ip, port: 30_022 });
});

it.each<[string, string | null, string | null, true | undefined]>([
  ["its volume could not be made", null, "Its volume could not be created: no more", true],
  ["its claim is gone", 'persistentvolumeclaim "volume-a" not found', null, true],
  ["its disk is elsewhere", "0/1 nodes are available: 1 node(s) had volume node affinity conflict", null, true],
  ["its node is full", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu", null, undefined],
  [
    "its node is full, and another try had no volume",
    "0/1 nodes are available: 1 Insufficient cpu",
    "No volume",
    undefined,
  ],
  ["its node has too many volumes", "0/1 nodes are available: 1 node(s) exceed max volume count", null, undefined],
  ["no reason is given", null, null, undefined],
])("an unbound run reports whether it lacks a volume: %s", (_, message, missingVolume, lacksVolume) => {
  const conditions = message === null ? [] : [{ type: "PodScheduled", status: "False", message }];
  const waiting: Pod = { ...pod, spec: {}, status: { phase: "Pending", conditions } };
  const around = {
    now: 0,
    nodes: [],
    ...noEvents,
  };

  const seen = toObservation({ jobs: [job], pods: [waiting] }, { ...around, missingVolume });

  expect(seen?.lacksVolume).toBe(lacksVolume);
});

it("says why a machine has no volume yet, unless its pod gives a reason", () => {
  const around = {
    now: 0,
    nodes: [],
    ...noEvents,
  };
  const unmountedVolume = "Its volume could not be attached yet: no volume vol-1";
  const seen = (state: object) =>
    toObservation(
      { jobs: [job], pods: [{ ...pod, status: { phase: "Pending", containerStatuses: [{ name: "main", state }] } }] },
      { ...around, unmountedVolume },
    );

  expect(seen({ waiting: { reason: "ContainerCreating" } })).toMatchObject({ reason: unmountedVolume, state: "image" });
  expect(seen({ waiting: { reason: "ContainerCreating" } })).not.toHaveProperty("lacksVolume");
  expect(seen({ waiting: { reason: "CreateContainerError", message: "no such user" } })?.reason).toBe("no such user");
});

it("claims no limit of processes and no version of cgroups, which only the node knows", () => {
  const surroundings = {
    now: 0,
    nodes: [],
    ...noEvents,
  };

  expect(toObservation({ jobs: [job], pods: [pod] }, surroundings)?.limits).toBe("container (memory, cpu)");
});

it.each([
  ["while it runs", undefined, undefined],
  ["once it is evicted", "2026-01-01T12:00:30Z", true],
] as const)("its command may print after SIGTERM %s", (_, deletionTimestamp, mayPrint) => {
  const metadata = { ...pod.metadata, ...(deletionTimestamp && { deletionTimestamp }) };
  const conditions = [
    { type: "DisruptionTarget", status: deletionTimestamp ? "True" : "False", reason: "EvictionByEvictionAPI" },
  ];
  const seen = (state: object) =>
    toObservation(
      {
        jobs: [job],
        pods: [{ ...pod, metadata, status: { conditions, containerStatuses: [{ name: "main", state }] } }],
      },
      {
        now: 0,
        nodes: [],
        ...noEvents,
      },
    );

  expect(seen({ running: { startedAt: "2026-01-01T12:00:00Z" } })?.mayPrint).toBe(mayPrint);
  expect(seen({ terminated: { exitCode: 143, reason: "Error" } })?.mayPrint).toBeUndefined();
});

const onTakenNode: Node = {
  metadata: { name: "one", uid: "u-one", ...marks },
  spec: { taints: [{ key: "karpenter.sh/disrupted", effect: "NoSchedule" }] },
  status: {},
};
const onNode: Node = { ...onTakenNode, spec: {} };

it.each<[string, NonNullable<Pod["status"]>, Node, true | undefined]>([
  ["an eviction, as by a drain", { conditions: [disruption("EvictionByEvictionAPI")] }, onNode, true],
  ["a pod of higher priority", { conditions: [disruption("PreemptionByScheduler")] }, onNode, true],
  ["a shutdown of the machine", { phase: "Failed", reason: "Terminated", message: "shutdown" }, onNode, true],
  ["a restart of the machine", over({ exitCode: 137, reason: "ContainerStatusUnknown" }), onNode, true],
  ["a deletion by hand", { conditions: [disruption("unknown")] }, onNode, undefined],
  ["a deletion before its machine is removed", { conditions: [disruption("unknown")] }, onTakenNode, true],
  ["too little memory on the machine", { phase: "Failed", reason: "Evicted", message: "low" }, onNode, undefined],
  ["too much memory of its own", over({ exitCode: 137, reason: "OOMKilled" }), onTakenNode, undefined],
  ["its own exit", over({ exitCode: 3, reason: "Error" }), onTakenNode, undefined],
])("a run that ends by %s says whether it was taken from its machine", (_, status, node, isDisrupted) => {
  const deletionTimestamp = status.conditions ? { deletionTimestamp: "2026-01-01T12:00:30Z" } : {};
  const taken: Pod = { ...pod, metadata: { ...pod.metadata, ...deletionTimestamp }, status };
  const around = {
    ...noEvents,
  };

  const seen = toObservation({ jobs: [job], pods: [taken] }, { ...around, now: 0, nodes: [node] });

  expect(seen).toMatchObject({ state: "ended" });
  expect(seen?.isDisrupted).toBe(isDisrupted);
});

it.each<[string, object, true | undefined]>([
  ["is drained", { unschedulable: true }, true],
  ["is open", {}, undefined],
])("a run whose pod is gone was evicted if its machine %s, whatever its Job says", (_, spec, isDisrupted) => {
  const bound = JSON.stringify([{ index: 0, name: "one", uid: "u-one", providerId: null }]);
  const conditions = [{ type: "Complete", status: "True" }];
  const metadata = { ...job.metadata, annotations: { ...job.metadata.annotations, "berth/bound": bound } };
  const status = { conditions: [{ type: "Ready", status: "True" }] };
  const nodes = [{ ...onNode, spec, status }];
  const around = {
    ...noEvents,
  };

  const seen = toObservation(
    { jobs: [{ ...job, metadata, status: { conditions } }], pods: [] },
    { ...around, now: 0, nodes },
  );

  expect(seen).toMatchObject({ state: "ended", exitCode: 0 });
  expect(seen?.isDisrupted).toBe(isDisrupted);
});

function disruption(reason: string) {
  return { type: "DisruptionTarget", status: "True", reason };
}

function over(terminated: { readonly exitCode: number; readonly reason: string }) {
  return { phase: "Failed" as const, containerStatuses: [{ name: "main", state: { terminated } }] };
}
