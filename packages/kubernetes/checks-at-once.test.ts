import { expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { kubernetesCompute } from "./compute.ts";
import { type MemoryApi, memoryApi } from "./fixtures/memory-api-fixture.ts";

const namespace = "environments";
const now = () => Date.parse("2026-01-01T00:00:00Z");
const CHECKS = 16;

const runs = Array.from({ length: CHECKS }, (_, n): Run => {
  const uid = n.toString(16).padStart(32, "0");
  return {
    uid,
    run: 1,
    key: `owner#1#env|gpu-dev|${n}`,
    name: `job-${n}`,
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: "any",
    command: undefined,
    env: {},
    shares: [{ node: "one", units: 1 }],
    gpusPerMachine: 1,
    mounts: [],
    ports: [],
    resources: null,
    until: now() + 3_600_000,
  };
});

function opened() {
  const api = memoryApi({ namespace, nodes: [node], pods: [], bytesOfObject: 1_000, now });
  const getMachineState = async () => "running" as const;
  return {
    api,
    compute: kubernetesCompute({ client: api.client, namespace, deployment: "one", now, getMachineState }),
  };
}

const node = {
  metadata: { name: "one", uid: "node-1", resourceVersion: "1", creationTimestamp: "2025-01-01T00:00:00Z" },
  spec: {},
  status: { conditions: [{ type: "Ready", status: "True" }] },
};

const getLists = ({ requests }: MemoryApi, kind: string) =>
  requests.filter((request) => request.startsWith("list ") && request.endsWith(`/${kind}`)).length;

it("16 concurrent reconciles cost two lists of pods, and each sees its own run", async () => {
  const { api, compute } = opened();
  for (const run of runs) await compute.apply(run);
  api.requests.length = 0;

  const seen = await Promise.all(runs.map(({ uid, run }) => compute.observe(uid, run)));

  expect(seen.map((observation) => observation?.state)).toEqual(runs.map(() => "ready"));
  expect([getLists(api, "pods"), getLists(api, "jobs")]).toEqual([2, 0]);
});

it("16 concurrent reconciles of gone runs cost five lists", async () => {
  const { api, compute } = opened();

  const seen = await Promise.all(runs.map(({ uid, run }) => compute.observe(uid, run)));

  expect(seen).toEqual(runs.map(() => undefined));
  expect([getLists(api, "pods"), getLists(api, "jobs")]).toEqual([3, 2]);
});
