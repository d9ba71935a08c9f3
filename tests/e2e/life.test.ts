import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signalProcess } from "#process/supervisor/process-identity.ts";
import { isOver, type Job, type JobClient, jobClient } from "./job-client.ts";
import { canListProcesses, eventually, listProcesses } from "./processes.ts";
import { openStackFixture, type StackProcess } from "./stack-fixture.ts";

const fixture = openStackFixture("berth-life-");
const nodes = "p5.48xlarge=2,p4d.24xlarge=1,g5.12xlarge=1,g4dn.2xlarge=1,g6.12xlarge=1,c7i.8xlarge=1";
let stack: StackProcess;
let env: Record<string, string>;
let jobs: JobClient;

beforeAll(async () => {
  stack = await fixture.start({ MIN_DURATION_HOURS: "0.001", SWEEP_SECONDS: "1", LOCAL_NODES: nodes });
  env = await stack.env();
  jobs = jobClient(stack.url, env.API_KEY ?? "");
});

afterAll(() => fixture.close());

// Each job has its own machines, so they can run concurrently.
describe.concurrent("a job on the local stack", () => {
  it("expires, and not before its time", async () => {
    const id = await jobs.submit({ instance_type: "g6.12xlarge", duration_hours: 0.001 });

    const job = await jobs.until(id, isOver);

    const late = getSecond(entry(job, "expired")) - getSecond({ at: job.expires_at ?? "" });
    expect([job.status, job.status_reason]).toEqual(["expired", "Its time is over"]);
    expect(late).toBeGreaterThanOrEqual(0);
    expect([...new Set(statuses(job))].filter((status) => status !== "preparing")).toEqual([
      "queued",
      "active",
      "expired",
    ]);
  });

  it("lasts as long as its extension", async () => {
    const id = await jobs.submit({ instance_type: "p4d.24xlarge", gpu_count: 1, duration_hours: 0.001 });
    await jobs.until(id, ({ status }) => status === "active");
    const before = await jobs.get(id);
    await jobs.extend(id, 0.001);

    const job = await jobs.until(id, isOver);

    const lasted = getSecond(entry(job, "expired")) - getSecond(entry(job, "active"));
    expect(getSecond({ at: job.expires_at ?? "" }) - getSecond({ at: before.expires_at ?? "" })).toBeOneOf([3, 4]);
    expect(lasted).toBeGreaterThanOrEqual(7);
    expect(job.actions).toMatchObject([{ action: "extend", status: "done", error: null }]);
  });

  it.each([
    ["exit 0", "completed", "command exited with code 0"],
    ["exit 3", "failed", "command exited with code 3"],
    ["no-such-program", "failed", "command exited with code 127"],
  ])("ends with its command: %s", async (command, status, reason) => {
    const id = await jobs.submit({ instance_type: "p4d.24xlarge", gpu_count: 1, command });

    const job = await jobs.until(id, isOver);

    expect([job.status, job.status_reason]).toEqual([status, reason]);
    expect(job.timeline).toContainEqual(expect.objectContaining({ status, reason }));
  });

  it("gets its variables, which no other user sees", async () => {
    const secret = "mauve-walrus-7431";
    const command = `test "$TOKEN" = ${secret.replace("7431", '"7431"')}`;

    const id = await jobs.submit({ instance_type: "p4d.24xlarge", gpu_count: 1, command, env_vars: { TOKEN: secret } });

    const job = await jobs.until(id, isOver);
    expect(job.status_reason).toBe("command exited with code 0");
    expect(JSON.stringify(job)).not.toContain(secret);
    expect(stack.output()).not.toContain(secret);
  });

  it("shows that it was killed from outside", async ({ skip }) => {
    skip(!canListProcesses, "there is no /proc here");
    const [command, env_vars] = ["sleep 600; true", { BERTH_FIXTURE: fixture.home }];
    const id = await jobs.submit({ instance_type: "g5.12xlarge", command, env_vars });
    await jobs.until(id, ({ status }) => status === "active");
    const ours = listProcesses().filter(({ environment }) => environment.get("BERTH_FIXTURE") === fixture.home);

    for (const process of ours) signalProcess(process, "SIGKILL");

    const job = await jobs.until(id, isOver);
    expect(ours.length).toBeGreaterThan(0);
    expect([job.status, job.status_reason]).toEqual(["failed", "command was killed by signal SIGKILL"]);
  });

  it("waits in the queue with the reason, and gets the machine as soon as the job before it is cancelled", async () => {
    const [first, second, third] = await submitInOrder(jobs, 3, { instance_type: "g4dn.2xlarge" });
    await jobs.until(first, ({ status }) => status === "active");
    const waiting = await jobs.until(third, ({ queue_position }) => queue_position === 2);
    const next = await jobs.get(second);

    await jobs.cancel(first);
    const cancelled = await jobs.get(first);
    await jobs.until(first, isOver);
    const moved = await jobs.until(second, ({ status }) => status === "active");

    expect(next).toMatchObject({ status: "queued", queue_position: 1 });
    // On a slow machine, a reservation may follow in the text.
    expect(next.status_reason).toMatch(/^Need 1 T4-SMALL GPUs, only 0 available - position #1(;|$)/);
    expect(waiting.status_reason).toMatch(/ - position #2$/);
    expect(cancelled).toMatchObject({ status: "cancelled", node_ip: null });
    expect(moved.queue_position).toBeNull();
    expect((await jobs.get(first)).actions).toMatchObject([{ action: "cancel", status: "done", error: null }]);
    expect(await jobs.until(third, ({ queue_position }) => queue_position === 1)).toMatchObject({ status: "queued" });
  });

  it("of 16 GPUs runs on two machines that know each other", async () => {
    const command = 'echo "$NODE_RANK $NNODES $MASTER_ADDR $MASTER_PORT $BERTH_GPUS" > told; sleep 600';
    const id = await jobs.submit({ instance_type: "p5.48xlarge", gpu_count: 16, command });
    await jobs.until(id, ({ status }) => status === "active");

    const answer = await eventually(
      () =>
        [0, 1].map((rank) =>
          fixture
            .runs()
            .map((run) => readIfThere(run, rank))
            .join(""),
        ),
      ([first, second]) => first !== "" && second !== "",
    );

    const port = /^0 2 127\.0\.0\.1 (\d+) 8\n$/.exec(answer[0] ?? "")?.[1];
    expect(answer).toEqual([`0 2 127.0.0.1 ${port} 8\n`, `1 2 127.0.0.1 ${port} 8\n`]);
    // The next plan counts them as in use.
    const counted = await eventually(
      () => jobs.availability(),
      ({ h100 }) => h100?.in_use === 16,
    );
    expect(counted.h100).toMatchObject({ total: 16, available: 0 });
    expect((await jobs.get(id)).timeline[1]?.reason).toBe("Capacity granted on p5-48xlarge-1, p5-48xlarge-2");
  });

  it("waits with the reason if its type has no machines", async () => {
    const id = await jobs.submit({ instance_type: "p5e.48xlarge" });

    const job = await jobs.until(id, ({ queue_position }) => queue_position !== null);

    expect(job.status_reason).toMatch(
      /^No H200 nodes available - position #1 in queue; no such machine takes jobs now: unless one does, it ends by itself at \S+Z/,
    );
  });
});

async function submitInOrder(client: JobClient, count: 3, body: object): Promise<[string, string, string]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) {
    ids.push(await client.submit({ ...body }));
    // Places in the queue depend on the millisecond of the submit.
    await sleep(5);
  }
  return ids as [string, string, string];
}

function statuses({ timeline }: Job): string[] {
  return timeline.map(({ status }) => status);
}

function entry({ timeline }: Job, status: Job["status"]): { readonly at: string } {
  const found = timeline.find((entry) => entry.status === status);
  if (!found) throw new Error(`The timeline does not tell of ${status}: ${JSON.stringify(timeline)}`);
  return found;
}

function getSecond({ at }: { readonly at: string }): number {
  return Date.parse(at) / 1000;
}

function readIfThere(run: string, rank: number): string {
  try {
    return readFileSync(join(fixture.home, "runs", run, String(rank), "work", "told"), "utf8");
  } catch {
    return "";
  }
}
