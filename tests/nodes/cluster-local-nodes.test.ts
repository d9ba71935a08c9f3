import { access, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import type { ProcessIdentity } from "#process/supervisor/process-identity.ts";
import { isOver, jobClient } from "../e2e/job-client.ts";
import { runProgram } from "../e2e/program.ts";
import { openStackFixture, root } from "../e2e/stack-fixture.ts";
import { listCgroups } from "./cgroups.ts";
import { localClusterFolder } from "./local-cluster.ts";
import { findTraces, nothing } from "./traces-fixture.ts";

let state: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "berth-local-cluster-"));
});

afterEach(async () => {
  await clusterLocal("down");
  await rm(state, { recursive: true });
});

/** Runs `npm run cluster:local -- <name>` as a user whose state is in a folder of this test. */
async function clusterLocal(name: string) {
  const env = { ...process.env, XDG_STATE_HOME: state };
  const { code, stdout, stderr } = await runProgram(process.execPath, ["scripts/cluster-local.ts", name], {
    cwd: root,
    env,
    timeout: 0,
  });
  return { code, stdout, stderr };
}

/** Finds the process, the run and the folder of the cluster that runs. */
async function findRunning() {
  const folder = localClusterFolder({ XDG_STATE_HOME: state });
  const { process: identity, home } = JSON.parse(await readFile(join(folder, "state.json"), "utf8")) as {
    process: ProcessIdentity;
    home: string;
  };
  const run = (await listCgroups("berth-nodes-")).find((name) => name.includes(`-${identity.pid}-`)) ?? "none";
  return { identity, home, run };
}

const notRunning = "No local cluster runs. Start one with: npm run cluster:local -- up\n";

it("a local cluster runs a job of npm start by the printed settings, and its end leaves nothing", async () => {
  const up = await clusterLocal("up");
  const again = await clusterLocal("up");
  const { home, run } = await findRunning();
  const [, kubeconfig = "", berthHome] = /KUBECONFIG=(\S+) BERTH_HOME=(\S+) npm start/.exec(up.stdout) ?? [];
  const [, image] = / --image (\S+) /.exec(up.stdout) ?? [];

  const fixture = openStackFixture("berth-on-local-cluster-");
  onTestFinished(() => fixture.close());
  const stack = await fixture.start({ COMPUTE: "kubernetes", KUBECONFIG: kubeconfig, SWEEP_SECONDS: "1" });
  const { API_KEY = "" } = await stack.env();
  const client = jobClient(stack.url, API_KEY);
  const command = "cat /etc/debian_version; sleep 600";
  const id = await client.submit({ instance_type: "p5.48xlarge", gpu_count: 1, name: "first", image, command });
  const active = await client.until(id, ({ status }) => ["active", "failed"].includes(status));
  const headers = { authorization: `Bearer ${API_KEY}`, accept: "text/plain" };
  const getLog = async () => (await fetch(`${stack.url}/v1/jobs/${id}/logs`, { headers })).text();
  await expect.poll(getLog).toMatch(/^12\.\d+\n$/);
  await client.cancel(id);
  const over = await client.until(id, isOver);
  await stack.kill("SIGTERM");
  const down = await clusterLocal("down");

  expect(again).toEqual(up);
  expect([dirname(kubeconfig), berthHome]).toEqual([home, join(home, "berth")]);
  expect(active).toMatchObject({ status: "active", isolation: "pod" });
  expect(over.status).toBe("cancelled");
  expect(down).toEqual({ code: 0, stdout: "The local cluster has ended.\n", stderr: "" });
  expect(await findTraces(run, home)).toEqual(nothing);
  await expect(access(home)).rejects.toThrow("ENOENT");
  expect(await readdir(join(state, "berth"))).toEqual([]);
  expect(await clusterLocal("status")).toEqual({ code: 1, stdout: "", stderr: notRunning });
});

it("a local cluster whose process was killed is not shown as running, and its end leaves nothing", async () => {
  await clusterLocal("up");
  const { identity, home, run } = await findRunning();

  process.kill(identity.pid, "SIGKILL");
  await expect
    .poll(() =>
      access(home).then(
        () => true,
        () => false,
      ),
    )
    .toBe(false);
  const status = await clusterLocal("status");
  const down = await clusterLocal("down");

  expect(status).toEqual({ code: 1, stdout: "", stderr: notRunning });
  expect(down).toEqual({ code: 0, stdout: "No local cluster runs.\n", stderr: "" });
  expect(await findTraces(run, home)).toEqual(nothing);
  expect(await readdir(join(state, "berth"))).toEqual([]);
});
