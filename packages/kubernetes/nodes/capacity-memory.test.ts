import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, it } from "vitest";
import { answerJson, type LoopbackServer, loopbackServer } from "../fixtures/loopback-fixture.ts";

const NODES = 1_000;
const PODS = 10_000;
/** Share of the function's 512 MB; the rest is for the ledgers and the clients of table and queue. */
const MOST_MB = 320;
/** V8 takes half of a small machine's memory for its heap. On a larger one it collects garbage less often. */
const HEAP_MB = 256;

let server: LoopbackServer;

afterEach(() => server.close());

it(`reads the capacity of ${NODES} nodes and ${PODS} pods within ${MOST_MB} MB`, async () => {
  server = await loopbackServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "https://loopback");
    const [all, toItem] = pathname === "/api/v1/nodes" ? ([NODES, nodeAt] as const) : ([PODS, podAt] as const);
    const from = Number(searchParams.get("continue") ?? 0);
    const to = Math.min(all, from + Number(searchParams.get("limit") ?? all));
    const metadata = { resourceVersion: "1", ...(to < all ? { continue: String(to) } : {}) };
    answerJson(response, { metadata, items: Array.from({ length: to - from }, (_, at) => toItem(from + at)) });
  });
  const { url, ca = "" } = server.access;

  const words = [`--max-old-space-size=${HEAP_MB}`, "--input-type=module", "-e", reading, url, ca];
  const { stdout } = await promisify(execFile)(process.execPath, words);

  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ nodes: NODES, runs: PODS });
  expect(result.mostMb).toBeLessThanOrEqual(MOST_MB);
});

/** Runs in its own process, to measure only its memory. */
const reading = `
  import { apiClient } from "#kubernetes/client/api-client.ts";
  import { listNodes } from "#kubernetes/nodes/capacity.ts";
  import { buildPaths } from "#kubernetes/paths.ts";
  const [, url, ca] = process.argv;
  const client = apiClient({ url, ca, token: async () => "token", deadlineMs: 60_000 });
  const nodes = await listNodes({ client, paths: buildPaths("environments"), deployment: "one" });
  client.close();
  const mostMb = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ nodes: nodes.length, runs: nodes.flatMap(({ runs }) => runs).length, mostMb }));
`;

/** A kubelet reports fifty images, and the API server adds managed fields. */
const images = Array.from({ length: 50 }, (_, at) => ({
  names: [`registry.example/image-${at}@sha256:${"a".repeat(64)}`, `registry.example/image-${at}:1`],
  sizeBytes: 1_000_000_000,
}));
const managedFields = [{ manager: "berth", fieldsV1: { "f:spec": "x".repeat(2_000) } }];
const command = "x".repeat(4_096);

function nodeAt(at: number): object {
  const labels = { "node.kubernetes.io/instance-type": "p5.48xlarge", "topology.kubernetes.io/zone": "us-east-1a" };
  return {
    metadata: { name: `node-${at}`, uid: `node-uid-${at}`, labels, managedFields },
    spec: { providerID: `aws:///us-east-1a/i-${at}` },
    status: {
      allocatable: { cpu: "191", memory: "2000Gi", "nvidia.com/gpu": "16" },
      conditions: [{ type: "Ready", status: "True" }],
      images,
    },
  };
}

function podAt(at: number): object {
  const uid = at.toString(16).padStart(32, "0");
  return {
    metadata: {
      name: `${uid}-r1-pod`,
      namespace: "environments",
      uid: `pod-uid-${at}`,
      labels: { "berth/deployment": "one", "berth/uid": uid, "berth/run": "1" },
      ownerReferences: [{ kind: "Job", name: `${uid}-r1`, uid: `job-uid-${at}` }],
      managedFields,
    },
    spec: {
      nodeName: `node-${at % NODES}`,
      containers: [{ name: "main", args: [command], resources: { requests: { "nvidia.com/gpu": "1" } } }],
    },
    status: { phase: "Running" },
  };
}
