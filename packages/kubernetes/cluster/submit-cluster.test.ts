import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "#tests/cluster/objects.ts";
import { isOver, type Job, type JobClient, jobClient } from "#tests/e2e/job-client.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "#tests/e2e/stack-fixture.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { findCondition, type Pod } from "../objects.ts";

/** A job waits for capacity that is listed each minute. */
const PATIENCE_MS = 180_000;
let cluster: ClusterFixture;
let fixture: StackFixture;
let stack: StackProcess;
let client: JobClient;
let key: string;

beforeAll(async () => {
  cluster = await openClusterFixture([]);
  fixture = openStackFixture("berth-submit-");
  stack = await fixture.start({
    COMPUTE: "kubernetes",
    KUBECONFIG: join(cluster.cluster.controlPlane.home, "berth.kubeconfig"),
    SWEEP_SECONDS: "1",
    NODE_GROUPS: "p5.48xlarge=1:60",
    NODE_TYPES: "gpu.vendor/model=h100=p5.48xlarge",
  });
  key = (await stack.env()).API_KEY ?? "";
  client = jobClient(stack.url, key);
}, PATIENCE_MS);

afterAll(async () => {
  await fixture.close();
  await cluster.stop();
}, PATIENCE_MS);

const wanted = { instance_type: "p5.48xlarge", gpu_count: 1 };
const lives = "while :; do sleep 1; done";
const hasBegun = ({ status }: Job) => status !== "queued" && status !== "preparing";

async function getLog(id: string): Promise<string> {
  const headers = { authorization: `Bearer ${key}`, accept: "text/plain" };
  return (await fetch(`${stack.url}/v1/jobs/${id}/logs`, { headers })).text();
}

/** Imitates an autoscaler, which does nothing until a pod fits nowhere. */
async function untilSomebodyWaits(): Promise<void> {
  for (;;) {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { items } = must(await cluster.cluster.admin.get<{ items: Pod[] }>(path));
    if (items.some((pod) => findCondition(pod, "PodScheduled")?.reason === "Unschedulable")) return;
    await sleep(50);
  }
}

const env_vars = {
  LINES: "first\nsecond\n\n",
  QUOTES: `"double" 'single' \`id\` \\ \\n`,
  EXPANDS: `$(id) $HOME $$ $(QUOTES) \${LINES}`,
  UNICODE: "é🚀\t\u0001",
  EMPTY: "",
};
const padding = `: ${"x".repeat(16_000)}`;
const digest = `sha256:${"0".repeat(64)}`;
/** Concurrent, because each would wait 43 s until held units are free. */
const jobs = {
  letters: {
    name: `$(id) "'\`; é`,
    env_vars,
    command: `${padding}; node -e 'process.stdout.write(JSON.stringify(process.env))'; echo "$(echo sub) \\$(HOME)"; exit 4`,
  },
  digest: { image: `127.0.0.1:5000/a/b@${digest}`, command: "exit 0" },
  capitals: { image: "Registry.Example.COM:443/a_b/c--d__e:TAG-1.2", command: "exit 0" },
  local: { image: `localhost/x:1@${digest}`, command: "exit 0" },
};

describe("jobs of the stack on a cluster", { timeout: 2 * PATIENCE_MS }, () => {
  it("wait for an empty group, whose first node has neither type nor zone of a cloud", async () => {
    const id = await client.submit({ ...wanted, command: lives });
    await untilSomebodyWaits();
    const before = await client.get(id);

    await cluster.cluster.addNodes([
      { name: "made", instanceType: "p5.48xlarge", isBare: true, labels: { "gpu.vendor/model": "h100" } },
    ]);
    const active = await client.until(id, hasBegun, PATIENCE_MS);
    await client.cancel(id);

    expect(before).toMatchObject({ status: expect.stringMatching(/^(queued|preparing)$/) });
    expect(active).toMatchObject({ status: "active" });
    expect(active.timeline.flatMap(({ reason }) => reason ?? []).join("\n")).toContain("a node still to be made");
  });

  it("have exactly their input, and images from any registry", async () => {
    const submitted = Object.entries(jobs).map(async ([name, job]) => {
      const id = await client.submit({ ...wanted, ...job });
      return [name, await client.until(id, isOver, PATIENCE_MS)] as const;
    });
    const over = Object.fromEntries(await Promise.all(submitted));
    const log = await getLog(over.letters?.job_id ?? "");

    const end = log.lastIndexOf("}") + 1;
    expect(JSON.parse(log.slice(0, end))).toMatchObject(env_vars);
    expect(log.slice(end)).toBe("sub $(HOME)\n");
    expect(over).toMatchObject({
      letters: { status: "failed", status_reason: "command exited with code 4" },
      digest: { status: "completed" },
      capitals: { status: "completed" },
      local: { status: "completed" },
    });
  });
});
