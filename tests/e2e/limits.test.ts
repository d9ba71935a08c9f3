import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeLimitWay, findLimits } from "#process/sandbox/limits.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { isOver, jobClient } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { openStackFixture, type StackFixture } from "./stack-fixture.ts";

const way = findLimits(canSandbox() ? "bubblewrap" : "none");
const limits = describeLimitWay(way);
let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-limits-");
});

afterEach(() => fixture.close());

describe("the limits of environments", () => {
  it("are shown, and stop endless forks of one environment while others are served", async ({ skip }) => {
    if (!limits.includes("processes")) skip(`this machine limits no processes of ours: ${limits}`);
    const stack = await fixture.start();
    const key = (await stack.env()).API_KEY ?? "";
    const jobs = jobClient(stack.url, key);
    // Without a limit, the loop ends by itself.
    const loop = `n=0; while [ $n -lt ${way.processes + 200} ]; do sleep 600 & n=$((n + 1)); done; echo unheld`;
    const command = `sleep 600 & (${loop}); wait`;
    const id = await jobs.submit({ instance_type: "c7i.8xlarge", command });

    const headers = { authorization: `Bearer ${key}`, accept: "text/plain" };
    const readLog = async () => (await fetch(`${stack.url}/v1/jobs/${id}/logs`, { headers })).text();
    const log = await eventually(readLog, (text) => /fork|unheld/i.test(text));
    const job = await jobs.get(id);
    const health = await fetch(`${stack.url}/health`);

    expect(log).not.toContain("unheld");
    expect([health.status, await health.json()]).toMatchObject([200, { status: "healthy", limits }]);
    expect(job).toMatchObject({ status: "active", limits: expect.stringContaining("processes") });
    expect(stack.output()).toContain(`"limits":"${limits}"}`);
  });

  it("leave processors for others and for its end beside a fork bomb whose processes spin", async ({ skip }) => {
    if (!limits.includes("processes")) skip(`this machine limits no processes of ours: ${limits}`);
    const stack = await fixture.start({ LOCAL_NODES: "c7i.8xlarge=2" });
    const { API_KEY: key = "" } = await stack.env();
    const jobs = jobClient(stack.url, key);
    const timeJob = async () => {
      const start = performance.now();
      const id = await jobs.submit({ instance_type: "c7i.8xlarge", command: "true" });
      await jobs.until(id, isOver);
      return performance.now() - start;
    };
    const timeAlone = await timeJob();
    // The processes wait at a pipe until all of them exist: spinning ones would starve the loop that starts them.
    const spinner = "(read -r line <&3; while :; do :; done)";
    const loop = `n=0; while [ $n -lt ${way.processes + 200} ]; do ${spinner} & n=$((n + 1)); done; echo unheld`;
    const release = `n=0; while [ $n -lt ${way.processes} ]; do echo go >&3; n=$((n + 1)); done; echo released`;
    const command = `mkfifo pipe; exec 3<>pipe; sleep 600 & (${loop}); ${release}; wait`;
    const bomb = await jobs.submit({ instance_type: "c7i.8xlarge", command });
    const headers = { authorization: `Bearer ${key}`, accept: "text/plain" };
    const readLog = async () => (await fetch(`${stack.url}/v1/jobs/${bomb}/logs`, { headers })).text();
    const log = await eventually(readLog, (text) => /released/.test(text));

    const timeBeside = await timeJob();
    const duringBomb = await jobs.get(bomb);
    const cancelled = performance.now();
    await jobs.cancel(bomb);
    await jobs.until(bomb, isOver);
    const timeToEnd = performance.now() - cancelled;

    expect(log).not.toContain("unheld");
    expect(duringBomb.status).toBe("active");
    // Without priorities and groups, both took more than 40 times as long.
    expect(timeBeside / timeAlone).toBeLessThan(20);
    expect(timeToEnd / timeAlone).toBeLessThan(20);
    expect(fixture.runs()).toEqual([]);
  });
});
