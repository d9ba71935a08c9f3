import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ApiError, type JobClient, jobClient } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";

let fixture: StackFixture;
let root: string;
let device: string | undefined;

/** Mounts a file system for the home, which Linux makes read-only when it finds an error (ext4(5)). */
beforeEach(() => {
  fixture = openStackFixture("berth-read-only-");
  root = mkdtempSync(join(tmpdir(), "berth-image-"));
  writeFileSync(image(), "");
  truncateSync(image(), 64 * 1024 * 1024);
  run("mkfs.ext4", "-q", "-O", "^has_journal", image());
  device = mount();
});

afterEach(async () => {
  await fixture.close({ keepsHome: true });
  if (device !== undefined) run("umount", fixture.home);
  for (const directory of [fixture.home, root]) rmSync(directory, { recursive: true });
});

const image = () => join(root, "image");

it("the stack answers 503 with the reason once its disk is read-only, keeps running, and has all records after the repair", {
  retry: 0,
}, async ({ skip }) => {
  if (device === undefined) return skip("this user cannot mount a file system here that fails");
  const stack = await fixture.start();
  const jobs = await getClient(stack);
  const before = await jobs.submit({ instance_type: "c7i.8xlarge" });
  await jobs.until(before, ({ status }) => status === "active");

  writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "for a test");
  const refusal = await getRefusal(jobs);
  const meanwhile = await jobs.get(before);
  const health = await getHealth(stack);
  const code = await stack.kill("SIGTERM");
  await unmount(device);
  device = mount();
  const again = await fixture.start();
  const after = await getClient(again);
  const found = await after.get(before);
  const next = await after.submit({ instance_type: "g4dn.2xlarge" });

  const refusals = reasons.map((reason) => `POST /v1/jobs/submit: 503 {"detail":"${reason}"}`);
  expect(refusal).toBeOneOf(refusals);
  expect(health).toMatchObject({ status: 503, body: { status: "unhealthy", reason: expect.toBeOneOf(reasons) } });
  expect([meanwhile.status, code]).toEqual(["active", 0]);
  expect(found.job_id).toBe(before);
  expect((await after.until(next, ({ status }) => status === "active")).job_id).toBe(next);
  expect(await getHealth(again)).toMatchObject({ status: 200, body: { status: "healthy" } });
});

/**
 * Possible reasons. The second appears if something was stored just as the disk became read-only, since its fate is
 * unknown (packages/sqlite tests each).
 */
const reasons = [
  "The disk of this stack is read-only: nothing can be stored",
  "The disk of this stack failed during a write: start the stack again",
];

/** Submits a job, and returns the refusal. */
function getRefusal(jobs: JobClient): Promise<string> {
  return jobs.submit({ instance_type: "g4dn.2xlarge" }).catch((error: unknown) => {
    if (error instanceof ApiError) return error.message;
    throw error;
  });
}

async function getHealth({ url }: StackProcess): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${url}/health`);
  return { status: response.status, body: await response.json() };
}

async function getClient(stack: StackProcess): Promise<JobClient> {
  return jobClient(stack.url, (await stack.env()).API_KEY ?? "");
}

/**
 * Unmounts the image, and waits until it is free. Each new sandbox copies the list of mounts for a moment, which keeps
 * the file system in use. A second mount of the image would then be the same, read-only one.
 */
async function unmount(device: string): Promise<void> {
  // A process of the environment may end after the stack, and keeps a file of the disk open until then.
  await eventually(
    () => run("umount", fixture.home),
    (output) => output !== undefined,
  );
  const isInUse = () => existsSync(`/sys/fs/ext4/${device}`);
  await eventually(isInUse, (value) => !value);
}

/** Mounts the image. Returns its device; undefined if this user may not mount. */
function mount(): string | undefined {
  if (run("mount", "-o", "loop,errors=remount-ro", image(), fixture.home) === undefined) return undefined;
  const source = run("findmnt", "-n", "-o", "SOURCE", fixture.home);
  return source === undefined ? undefined : basename(source.trim());
}

/** Returns the output of a program; undefined if it fails or is missing. */
function run(program: string, ...words: string[]): string | undefined {
  const { status, stdout } = spawnSync(program, words, { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}
