import { spawnSync } from "node:child_process";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { ApiError, type JobClient, jobClient } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";

/** Writable file system of 24 MB, for a user who cannot mount one. */
const { SMALL_DISK } = process.env;
let fixture: StackFixture;
let isMounted: boolean;
let isSmall: boolean;

/** Mounts a small disk for the home, which takes root and the right to mount. */
beforeEach(() => {
  fixture = openStackFixture("berth-full-", SMALL_DISK);
  isMounted = SMALL_DISK === undefined && run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", fixture.home);
  isSmall = isMounted || SMALL_DISK !== undefined;
});

afterEach(async () => {
  await fixture.close({ keepsHome: true });
  if (isMounted) run("umount", fixture.home);
  rmSync(fixture.home, { recursive: true });
});

const reason = "this user cannot mount a small disk here";

it("the stack answers 503 with the reason while its disk is full, keeps running, and keeps all records", {
  retry: 0,
}, async ({ skip }) => {
  if (!isSmall) skip(reason);
  const stack = await fixture.start();
  const jobs = await getClient(stack);
  const before = await jobs.submit({ instance_type: "c7i.8xlarge" });
  await jobs.until(before, ({ status }) => status === "active");

  fill();
  const refusal = await eventually(
    () => submitted(jobs),
    (answer) => answer instanceof ApiError,
  );
  const readMeanwhile = await jobs.get(before);
  const full = await getHealth(stack);
  rmSync(filler());
  const healthy = await eventually(
    () => getHealth(stack),
    ({ status }) => status === 200,
  );
  const after = await eventually(
    () => submitted(jobs),
    (id) => !(id instanceof ApiError),
  );
  const code = await stack.kill("SIGTERM");
  const again = await getClient(await fixture.start());
  const found = await again.list();

  const text = "The disk of this stack is full: nothing can be stored until there is room";
  expect(String(refusal)).toContain(`503 {"detail":"${text}"}`);
  expect(readMeanwhile.job_id).toBe(before);
  expect(full).toMatchObject({ status: 503, body: { status: "unhealthy", reason: text } });
  expect(healthy.body).toMatchObject({ status: "healthy", database: "healthy", queue: "healthy" });
  expect(code).toBe(0);
  expect(found.map(({ job_id }) => job_id)).toEqual(expect.arrayContaining([before, after]));
});

it("the stack reports that its disk is full before it refuses a request", { retry: 0 }, async ({ skip }) => {
  if (!isSmall) skip(reason);
  const stack = await fixture.start();
  await getHealth(stack);

  fill();
  const full = await eventually(
    () => getHealth(stack),
    ({ status }) => status !== 200,
  );

  expect(full.body).toMatchObject({ reason: expect.stringContaining("The disk of this stack is full") });
});

it("the stack names the directory on a full disk at its start, exits, and starts with all records once there is room", {
  retry: 0,
}, async ({ skip }) => {
  if (!isSmall) skip(reason);
  const first = await fixture.start();
  const before = await (await getClient(first)).submit({ instance_type: "c7i.8xlarge" });
  await first.kill("SIGTERM");
  const files = readdirSync(fixture.home);

  fill();
  const refused = await getError(fixture.start());
  const left = readdirSync(fixture.home).filter((name) => !files.includes(name) && !name.startsWith("records.db-"));
  rmSync(filler());
  const again = await getClient(await fixture.start());

  expect(refused).toContain(fixture.home);
  expect(refused).toMatch(/disk is full/);
  expect(left).toEqual(["filler"]);
  expect((await again.list()).map(({ job_id }) => job_id)).toContain(before);
});

it("the stack reports a read-only disk at its start, and exits", { retry: 0 }, async ({ skip }) => {
  if (!canSandbox()) skip("there is no bubblewrap that works here, which shows a directory as a disk of that kind");
  const first = await fixture.start();
  await first.kill("SIGTERM");

  const under = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", fixture.home, fixture.home];
  const started = fixture.start({}, { under });

  await expect(started).rejects.toThrow(/read-only/);
});

async function getHealth({ url }: StackProcess): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${url}/health`);
  return { status: response.status, body: await response.json() };
}

async function getClient(stack: StackProcess): Promise<JobClient> {
  return jobClient(stack.url, (await stack.env()).API_KEY ?? "");
}

async function getError(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "nothing was refused",
    (error: unknown) => String(error),
  );
}

const filler = () => join(fixture.home, "filler");

/** Writes until the disk is full. */
function fill(): void {
  for (const bytes of [1024 * 1024, 4096]) {
    try {
      for (;;) writeFileSync(filler(), Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
}

/** Returns the job's id or the refusal. The first submits succeed, because the log has some room. */
async function submitted(jobs: JobClient): Promise<string | ApiError> {
  try {
    return await jobs.submit({ instance_type: "g4dn.2xlarge" });
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

function run(program: string, ...words: string[]): boolean {
  return spawnSync(program, words, { stdio: "ignore" }).status === 0;
}
