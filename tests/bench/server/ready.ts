import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Item } from "#core/ports/table.ts";
import { openDatabase } from "#sqlite/database.ts";
import { sqliteTable } from "#sqlite/table.ts";
import { cancelJob, submitJob, untilActive, wholeNode } from "../core/jobs.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { type LocalStack, readCpu, until, withStack } from "./local-stack.ts";

const starts = 5;
const owned = 5_000;
const lists = 200;
const page = 50;

/** Start time of the stack beside a Node process that does nothing, and the cost of a list with many jobs. */
export const ready: Measure = {
  name: "ready",
  async run() {
    const home = mkdtempSync(join(tmpdir(), "berth-bench-"));
    try {
      await fill(home);
      const [empty, full]: [number[], number[]] = [[], []];
      for (let n = 0; n < starts; n += 1) {
        empty.push(await readyMs());
        full.push(await readyMs(home));
      }
      const nothing = median(Array.from({ length: starts * 2 }, nothingMs));
      return [...readyRows(nothing, empty, full), await listed(home)];
    } finally {
      rmSync(home, { recursive: true });
    }
  },
};

function readyRows(nothing: number, empty: readonly number[], full: readonly number[]): Row[] {
  const name = "start to /health 200 / `node -e 0`";
  const note = (ms: readonly number[]) => `${median(ms).toFixed(0)} ms and ${nothing.toFixed(0)} ms, without npm`;
  return [
    { name: `${name}, empty home`, value: median(empty) / nothing, unit: "×", limit: 20, note: note(empty) },
    { name: `${name}, 10,000 records`, value: median(full) / nothing, unit: "×", limit: 40, note: note(full) },
  ];
}

function readyMs(home?: string): Promise<number> {
  const options = home === undefined ? { withoutNpm: true } : { withoutNpm: true, home };
  return withStack(`${wholeNode.type}=1`, async ({ healthyMs }) => healthyMs, {}, options);
}

function nothingMs(): number {
  const begun = performance.now();
  spawnSync(process.execPath, ["-e", "0"]);
  return performance.now() - begun;
}

async function listed(home: string): Promise<Row> {
  const measure = async ({ pid, call }: LocalStack) => {
    const list = () => call<{ jobs: unknown[] }>("GET", `/v1/jobs?limit=${page}`);
    const { jobs } = await list();
    if (jobs.length !== page) throw new Error(`The list shows ${jobs.length} jobs, not ${page}`);
    for (let n = 0; n < lists / 10; n += 1) await list();
    const before = readCpu(pid);
    for (let n = 0; n < lists; n += 1) await list();
    return (readCpu(pid) - before) / lists;
  };
  const cpuMs = await withStack(`${wholeNode.type}=1`, measure, {}, { home, withoutNpm: true });
  return {
    name: `CPU of a list of ${page} of ${owned} jobs`,
    value: cpuMs,
    unit: "ms",
    limit: 30,
    note: "all of them ended",
  };
}

/** Runs one job, then copies its record until the table has 10,000, of two owners. */
async function fill(home: string): Promise<void> {
  const lived = async (stack: LocalStack) => {
    const id = await submitJob(stack, 1);
    await untilActive(stack, id);
    await cancelJob(stack, id);
    // The status changes before the job has ended completely.
    await until(() => stack.lines.find(({ event, phase }) => event === "look" && phase === "cancelled"));
  };
  await withStack(`${wholeNode.type}=1`, lived, {}, { home, withoutNpm: true });
  const database = openDatabase(join(home, "records.db"));
  const table = sqliteTable(database);
  const [row] = database.prepare("SELECT pk, sk FROM items WHERE pk LIKE 'owner#%#env#gpu-dev'").all();
  const job = await table.get({ pk: String(row?.pk), sk: String(row?.sk) });
  if (!job) throw new Error("The job that was submitted is not in the table");
  for (const otherName of [String(job.owner), "f".repeat(32)]) {
    await Promise.all(Array.from({ length: owned }, (_, n) => table.put(likeIt(job, otherName, n))));
  }
  database.close();
}

function likeIt({ dueAt: _, ...job }: Item, owner: string, n: number): Item {
  const uid = n.toString(16).padStart(32, owner.slice(0, 4));
  const id = `${String(job.sk).slice(0, 24)}${n.toString(16).padStart(12, "0")}`;
  const pk = job.pk.replace(String(job.owner), owner);
  const ttl = Math.ceil(Number(job.createdAt) / 1000) + 86_400;
  return { ...job, pk, sk: id, id, uid, owner, ttl, createdAt: Number(job.createdAt) - n } as Item;
}
