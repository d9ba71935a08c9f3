import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CliFixture, openCliFixture } from "../../packages/cli/cli-fixture.ts";
import { must } from "../cluster/objects.ts";
import { callApi, isOver, type JobClient, jobClient } from "../e2e/job-client.ts";
import { eventually } from "../e2e/processes.ts";
import { runProgram } from "../e2e/program.ts";
import { root } from "../e2e/stack-fixture.ts";
import { untilRead } from "./driver-fixture.ts";
import { debianImage } from "./images.ts";
import { type RealCluster, startRealCluster } from "./real-cluster.ts";

/** Longer than a busy machine takes for the life of a job. */
const PATIENCE_MS = 200_000;
let cluster: RealCluster;
let cli: CliFixture;
let jobs: JobClient;
let key: string;

beforeAll(async () => {
  cluster = await startRealCluster([
    { name: "one", instanceType: "p5.48xlarge" },
    { name: "two", instanceType: "m7i.8xlarge" },
  ]);
  expect(await applyCluster()).toMatchObject({ code: 0 });
  cli = await openCliFixture({
    COMPUTE: "kubernetes",
    KUBECONFIG: join(cluster.controlPlane.home, "berth.kubeconfig"),
    SWEEP_SECONDS: "1",
    MIN_DURATION_HOURS: "0.001",
  });
  await cli.run("login");
  key = (await cli.running.env()).API_KEY ?? "";
  jobs = jobClient(cli.running.url, key);
});

// A start that fails leaves none of them.
afterAll(async () => {
  await (cli as CliFixture | undefined)?.close();
  await (cluster as RealCluster | undefined)?.stop();
});

/** Runs `npm run cluster:apply` on the nodes' cluster, without a question. */
function applyCluster() {
  const env = { ...process.env, KUBECONFIG: join(cluster.controlPlane.home, "admin.kubeconfig") };
  return runProgram(process.execPath, ["scripts/cluster/apply.ts", "--yes"], { cwd: root, env });
}

/** Waits for SIGTERM, and prints these words then. */
const untilTerm = (words: string) =>
  `trap 'echo ${words}; ${untilRead}; exit 0' TERM; echo begun; while :; do sleep 0.1; done`;
const wanted = { instance_type: "p5.48xlarge", gpu_count: 1, image: debianImage };
const call = (method: string, path: string, body?: unknown) => callApi(cli.running.url, key, { method, path, body });

describe("a job of the command line on real nodes", { timeout: 2 * PATIENCE_MS }, () => {
  it("becomes active, is followed and extended, and its last words after SIGTERM are in its log", async () => {
    const words = ["--type", "h100", "--image", debianImage, "--", untilTerm("checkpoint saved")];
    const up = await cli.run("up", "first", ...words);
    const logs = cli.start({}, "logs", "-f", "first");
    await logs.says("begun\n");
    const extended = await cli.run("extend", "first", "90m");
    const ended = await cli.run("end", "first");
    const waited = await cli.run("wait", "first", "--until", "ended");
    const followed = await logs.ended;
    const after = await cli.run("logs", "first");

    expect(up).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Job +first \(\w{8}\)\nState +active/) });
    expect(extended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^first \(\w{8}\) has 2\.5 h/) });
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Ended first/) });
    expect(waited).toMatchObject({ code: 1 });
    expect([followed.stdout, after.stdout]).toEqual(["begun\ncheckpoint saved\n", "begun\ncheckpoint saved\n"]);
  });

  it("that expires prints its last words, which stay in its log", async () => {
    const command = untilTerm("expired, and saved");
    const id = await jobs.submit({ ...wanted, name: "short", command, duration_hours: 0.004 });

    const over = await jobs.until(id, isOver, PATIENCE_MS);

    expect(over.status).toBe("expired");
    expect((await cli.run("logs", "short")).stdout).toBe("begun\nexpired, and saved\n");
  });
});

it(
  "cluster:apply restores a changed and a removed object, and jobs on the nodes start and run on",
  async () => {
    const running = await jobs.submit({ ...wanted, name: "before", command: untilTerm("ended") });
    const isActive = ({ status }: { readonly status: string }) => status === "active";
    await jobs.until(running, isActive, PATIENCE_MS);
    const quota = "/api/v1/namespaces/berth-environments/resourcequotas/environments";
    must(await cluster.admin.patch(quota, { spec: { hard: { "count/jobs.batch": "0" } } }));
    must(await cluster.admin.remove("/apis/scheduling.k8s.io/v1/priorityclasses/berth-environment"));

    const restored = await applyCluster();
    const again = await applyCluster();
    const later = await jobs.submit({ ...wanted, name: "after", command: untilTerm("ended") });
    await jobs.until(later, isActive, PATIENCE_MS);
    const before = await cli.run("logs", "before");
    await Promise.all([running, later].map((id) => jobs.cancel(id)));

    expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining("+ PriorityClass berth-environment\n") });
    expect(restored.stdout).toContain('    spec.hard["count/jobs.batch"]: "0" → "12k"\n');
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^= \d+ objects are as wanted\n$/) });
    expect(before.stdout).toBe("begun\n");
  },
  2 * PATIENCE_MS,
);

describe("on a cluster without a default storage class", { timeout: 2 * PATIENCE_MS }, () => {
  const none = "The cluster has no default storage class, so it makes no volumes";

  it("a job with a disk fails at once for that reason, in the state that users see", async () => {
    const id = await jobs.submit({ ...wanted, name: "disk", command: "true", disk_name: "data" });

    const over = await jobs.until(id, isOver, PATIENCE_MS);

    expect(over).toMatchObject({ status: "failed", status_reason: expect.stringContaining(none) });
    expect(over.timeline.map(({ reason }) => reason).filter((reason) => /again/.test(reason ?? ""))).toEqual([]);
  });

  it("a session fails at once, and holds no machine", async () => {
    const { uuid } = (await call("POST", "/session/create", { user_id: "ada" })) as { uuid: string };
    const getSession = async () => (await call("GET", `/session/${uuid}`)) as Session;

    const { session } = await eventually(getSession, isSettled, PATIENCE_MS);

    expect(session.status).toBe("failed");
  });

  it("a sandbox says that reason to its first command", async () => {
    const body = { template: "python", namespace: "team", user: "ada" };
    const { id } = (await call("POST", "/v1/sessions", body)) as { id: string };

    const said = await call("POST", `/v1/sessions/${id}/execute`, { command: "true" }).catch(String);

    expect(said).toContain(none);
  });
});

const isSettled = ({ replicas, session }: Session) => replicas === 0 && ["failed", "sleeping"].includes(session.status);

interface Session {
  readonly replicas: number;
  readonly session: { readonly status: string };
}
