import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "#aws/clock.ts";
import type { Item } from "#core/ports/table.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { shellEnvironment } from "../shell-environment.ts";
import { type Stack, startStack } from "../stack.ts";
import { openStores } from "./stores.ts";

/**
 * The records and files that an earlier version of Berth left when it stopped: a user, a finished job, its disk with a
 * backup, and two jobs that wait because their pool is drained. Credentials and keys in it were made for this file
 * alone.
 */
interface EarlierHome {
  readonly madeAt: number;
  readonly version: number;
  readonly schema: readonly string[];
  readonly commits: number;
  readonly items: readonly (Readonly<Record<string, string | number>> & { readonly item: Item })[];
  readonly messages: readonly Readonly<Record<string, string | number | null>>[];
  readonly files: Readonly<Record<string, string>>;
}

type Answer = Readonly<Record<string, unknown>>;

const earlier: EarlierHome = JSON.parse(readFileSync(join(import.meta.dirname, "earlier-home.json"), "utf8"));
const pool = "cpu-x86";

let home: string;
let stack: Stack;
let key: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-earlier-"));
  writeFiles();
  writeRecords();
  await moveToToday();
  const environment = { BERTH_HOME: home, PORT: "0", LOCAL_NODES: "c7i.8xlarge=1", SWEEP_SECONDS: "1" };
  stack = await startStack({ environment: { ...environment, ADMIN_USERS: "developer" }, log: silentLog() });
  key = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false }))?.[1] ?? "";
});

afterAll(async () => {
  await stack.stop();
  rmSync(home, { recursive: true });
});

function writeFiles(): void {
  for (const [name, text] of Object.entries(earlier.files)) {
    const path = join(home, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, text, { mode: name.includes("/data/") ? 0o644 : 0o600 });
  }
}

/** Inserts the rows as they were, with their checksums, which the next start compares. */
function writeRecords(): void {
  const sql = new DatabaseSync(join(home, "records.db"));
  sql.exec(`${earlier.schema.join(";")}; PRAGMA user_version = ${earlier.version}`);
  sql.prepare("INSERT INTO commits VALUES (1, ?)").run(earlier.commits);
  const insert = (table: string, row: Readonly<Record<string, string | number | null | Uint8Array>>) => {
    const columns = Object.keys(row).map((name) => `"${name}"`);
    sql
      .prepare(`INSERT INTO ${table} (${columns}) VALUES (${columns.map(() => "?")})`)
      .run(...(Object.values(row) as (string | number | null | Uint8Array)[]));
  };
  for (const { item, ...columns } of earlier.items)
    insert("items", { ...columns, item: Buffer.from(JSON.stringify(item)) });
  for (const message of earlier.messages) insert("messages", message);
  sql.close();
}

/** Moves the times in the records, as if the earlier version had stopped just now: jobs do not wait for months. */
async function moveToToday(): Promise<void> {
  const stores = openStores(home, systemClock());
  const laterMs = Date.now() - earlier.madeAt;
  const moved = (text: string) => text.replace(/\b179569\d{7}\b/g, (time) => String(Number(time) + laterMs));
  for (const { item } of earlier.items) {
    const stored = await stores.table.get(item);
    expect({ ...stored, writers: item.writers }).toEqual(item);
    await stores.table.put(JSON.parse(moved(JSON.stringify(stored))));
  }
  await stores.stop();
}

async function call(method: string, path: string, body?: object): Promise<Answer> {
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${stack.url}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return (await response.json()) as Answer;
}

async function listJobs(): Promise<Readonly<Record<string, Answer>>> {
  const { jobs } = await call("GET", "/v1/jobs");
  return Object.fromEntries((jobs as readonly Answer[]).map((job) => [String(job.name), job]));
}

async function jobThat(name: string, holds: (job: Answer) => boolean): Promise<Answer> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const job = await call("GET", `/v1/jobs/${(await listJobs())[name]?.job_id}`);
    if (holds(job)) return job;
    if (performance.now() > end)
      throw new Error(`The condition did not become true: ${holds}, but ${JSON.stringify(job)}`);
    await sleep(50);
  }
}

describe("a home from an earlier version", () => {
  it("shows its jobs, its disk and the log of its finished job", async () => {
    const jobs = await listJobs();
    const disk = await call("GET", "/v1/disks/data");
    const log = await call("GET", `/v1/jobs/${jobs.finished?.job_id}/logs`);

    expect(Object.keys(jobs).toSorted()).toEqual(["finished", "waits", "waits-too"]);
    expect(["finished", "waits", "waits-too"].map((name) => jobs[name]?.status)).toEqual([
      "completed",
      "queued",
      "queued",
    ]);
    expect(disk).toMatchObject({ disk_name: "data", size_gb: 100, snapshot_count: 1, is_deleted: false });
    expect(JSON.stringify(log)).toContain("hello");
  });

  it("allows a waiting job to be cancelled, and another one to read files of an earlier job on its disk", async () => {
    const { "waits-too": otherEntry } = await listJobs();
    await call("POST", `/v1/jobs/${otherEntry?.job_id}/cancel`);
    const cancelled = await jobThat("waits-too", ({ status }) => status !== "queued");
    await call("POST", `/v1/admin/pools/${pool}/undrain`);
    const waited = await jobThat("waits", ({ status }) =>
      ["completed", "failed", "cancelled"].includes(String(status)),
    );

    expect(cancelled.status).toBe("cancelled");
    expect(waited).toMatchObject({ status: "completed", disk_name: "data" });
  });
});
