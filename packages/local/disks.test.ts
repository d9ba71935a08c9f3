import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseDisk } from "#core/disks/parse.ts";
import type { Disk } from "#core/disks/record.ts";
import { apiKeyKey, disksPartition } from "#core/store/keys.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { shellEnvironment } from "./shell-environment.ts";
import { type Stack, startStack } from "./stack.ts";

type Answer = Readonly<Record<string, unknown>>;

let home: string;
let stack: Stack;
let key: string;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-disks-"));
  await start();
});
afterEach(async () => {
  await stack.stop();
  rmSync(home, { recursive: true });
});

async function start(): Promise<void> {
  const environment = { BERTH_HOME: home, PORT: "0", LOCAL_NODES: "g4dn.2xlarge=1", SWEEP_SECONDS: "1" };
  stack = await startStack({ environment, log: silentLog() });
  key = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false }))?.[1] ?? "";
}

async function call(method: string, path: string, body?: object): Promise<Answer> {
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${stack.url}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return (await response.json()) as Answer;
}

/** Polls until the answer has the expected content. Fails after the common time limit. */
async function until(path: string, holds: (answer: Answer) => boolean): Promise<Answer> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await call("GET", path);
    if (holds(answer)) return answer;
    if (performance.now() > end)
      throw new Error(`The condition did not become true: ${holds}, but ${JSON.stringify(answer)}`);
    await sleep(50);
  }
}

async function submit(command: string, disk: string | null = "data"): Promise<string> {
  const job = { image: "ubuntu", instance_type: "g4dn.2xlarge", command, disk_name: disk };
  const { job_id, detail } = await call("POST", "/v1/jobs/submit", job);
  if (job_id === undefined) throw new Error(`Submit was refused: ${JSON.stringify(detail)}`);
  return String(job_id);
}

const isOver = ({ status }: Answer) => ["completed", "failed", "cancelled", "expired"].includes(String(status));

/** Runs a job to its end and returns its last answer. */
async function run(command: string): Promise<Answer> {
  return until(`/v1/jobs/${await submit(command)}`, isOver);
}

const backups = (count: number) =>
  until("/v1/disks/data", (disk) => disk.snapshot_count === count && disk.is_backing_up === false);

describe("a disk on the local stack", () => {
  it("keeps for the next job the files of the one before, and is backed up at the end of each", async () => {
    const first = await run("echo kept > $WORKSPACE/file");
    const second = await run('test "$(cat $WORKSPACE/file)" = kept');

    expect(first).toMatchObject({ status: "completed", disk_name: "data" });
    expect(second).toMatchObject({ status: "completed", disk_name: "data" });
    await backups(2);
    expect(readdirSync(join(home, "snapshots")).filter((name) => name.startsWith("snap-"))).toHaveLength(2);
    const notes = (second.timeline as readonly { readonly reason: string | null }[]).map(({ reason }) => reason ?? "");
    expect(notes.some((note) => note.includes("disk at $WORKSPACE, its size not enforced"))).toBe(true);
  });

  it("lists the files that the last job left on it", async () => {
    await run("mkdir $WORKSPACE/deep && echo kept > $WORKSPACE/deep/file");

    const { content } = await until("/v1/disks/data/content", (answer) => typeof answer.content === "string");

    expect(String(content).split("\n")).toEqual(expect.arrayContaining(["./deep:", "file"]));
  });

  it("is restored from its backup if its volume is lost", async () => {
    await run("mkdir -p $WORKSPACE/deep && echo kept > $WORKSPACE/deep/file");
    await backups(1);
    await loseVolume();

    const { status, timeline } = await run('test "$(cat $WORKSPACE/deep/file)" = kept');

    expect(status).toBe("completed");
    expect(JSON.stringify(timeline)).toContain("restored from its backup");
  });

  it("survives a restart of the stack", async () => {
    await run("echo kept > $WORKSPACE/file");
    await backups(1);
    await stack.stop();
    await start();

    expect(await run('test "$(cat $WORKSPACE/file)" = kept')).toMatchObject({ status: "completed" });
  });

  it("refuses jobs while it is deleted, and keeps its files until it is undeleted", async () => {
    await run("echo kept > $WORKSPACE/file");
    await backups(1);

    const { operation_id } = await call("DELETE", "/v1/disks/data");
    const deletion = await until(`/v1/disks/data/operations/${operation_id}`, ({ completed }) => completed === true);
    const refused = await submit("true").catch(String);
    await call("POST", "/v1/disks/data/undelete");

    expect(deletion).toMatchObject({ status: "completed", is_deleted: true, error: null });
    expect(refused).toContain("Disk 'data' is marked for deletion");
    expect(await run('test "$(cat $WORKSPACE/file)" = kept')).toMatchObject({ status: "completed" });
  });

  it("of 200 MB does not delay the GPU of the next job: its backup may begin even later", async () => {
    const { volumes } = stack.runtime.ports;
    const { createSnapshot } = volumes;
    const isNextActive = Promise.withResolvers<void>();
    const lateSnapshot: typeof createSnapshot = async (...wanted) => {
      await isNextActive.promise;
      return createSnapshot(...wanted);
    };
    Object.assign(volumes, { createSnapshot: lateSnapshot });
    const first = await submit("head -c 200000000 /dev/zero > $WORKSPACE/large");
    const next = await submit("sleep 60", null);
    const waits = await call("GET", `/v1/jobs/${next}`);

    await until(`/v1/jobs/${next}`, ({ status }) => status === "active");
    const disk = await call("GET", "/v1/disks/data");
    isNextActive.resolve();

    expect(waits.status).toBe("queued");
    expect(disk).toMatchObject({ in_use: false, is_backing_up: true, snapshot_count: 0 });
    expect(await call("GET", `/v1/jobs/${first}`)).toMatchObject({ status: "completed" });
    await backups(1);
    const snapshot = readdirSync(join(home, "snapshots")).find((name) => name.startsWith("snap-")) ?? "";
    expect(statSync(join(home, "snapshots", snapshot, "data/large")).size).toBe(200_000_000);
  });
});

/** Removes the volume and corrects the disk's record between two reconciles. */
async function loseVolume(): Promise<void> {
  const { ports, ids } = stack.runtime;
  const user = await ports.table.get(apiKeyKey(ids.hash(key)));
  const forget = async (): Promise<string> => {
    const { items } = await ports.table.query({ pk: disksPartition(String(user?.uid)) });
    const [disk] = items.filter(({ kind }) => kind === "disk").map(parseDisk);
    if (!disk?.volume) throw new Error("The disk has no volume");
    await ports.table.put({ ...disk, volume: null } as Disk);
    return disk.volume.id;
  };
  const volume = await forget().catch(forget);
  const directory = join(home, "volumes", volume);
  expect(existsSync(directory)).toBe(true);
  rmSync(directory, { recursive: true });
}
