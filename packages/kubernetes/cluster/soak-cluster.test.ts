import { randomInt } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { must } from "#tests/cluster/objects.ts";
import { noteAnswers } from "#tests/e2e/answers.ts";
import { isOver, type Job } from "#tests/e2e/job-client.ts";
import { eventually } from "#tests/e2e/processes.ts";
import { openStackFixture, type StackFixture } from "#tests/e2e/stack-fixture.ts";
import { seededRandom } from "#tests/fixtures/random.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { isMeantToBeCancelled, soakUsers, wrongEnd } from "../fixtures/soak-jobs-fixture.ts";
import { leftovers, seenClaims } from "../fixtures/soak-leftovers-fixture.ts";
import { startMortalStack } from "../fixtures/soak-stack-fixture.ts";

const seed = Number(process.env.SOAK_SEED ?? randomInt(1_000_000));
const minutes = Number(process.env.SOAK_MINUTES ?? 1);
const soakMs = minutes * 60_000;
/**
 * Units of a job are held back for 43 s after its start (docs/architecture/consistency.md#paused-workers), so no job
 * begins too late for the last kill.
 */
const submittingMs = Math.max(soakMs / 4, soakMs - 60_000);
/** A short soak runs only as many as fit at once, so none waits for another. */
const mostJobs = minutes > 1 ? 200 : 18;
const users = 3;
const disks = ["disk-a", "disk-b"];
const nodes = Array.from({ length: minutes > 1 ? 6 : 12 }, (_, at) => `node-${at}`);
const gpus = 8 * nodes.length;
/** Jobs that are left after the last kill may wait for others. */
const longestEndMs = 300_000;

let cluster: ClusterFixture;
let fixture: StackFixture;

beforeEach(async () => {
  cluster = await openClusterFixture(nodes.map((name) => ({ name, instanceType: "p5.48xlarge" })));
  fixture = openStackFixture("berth-soak-");
});

afterEach(async () => {
  await fixture.close();
  await cluster.stop();
});

it(`loses and leaks nothing while stack, API server and etcd are killed for ${minutes} min (SOAK_SEED=${seed})`, {
  timeout: soakMs + 3 * longestEndMs,
  retry: 0,
}, async () => {
  const random = seededRandom(seed);
  const { admin, controlPlane } = cluster.cluster;
  const metadata = { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } };
  must(await admin.patch("/apis/storage.k8s.io/v1/storageclasses/berth-gp3", { metadata }));
  const stack = await startMortalStack(fixture, {
    COMPUTE: "kubernetes",
    KUBECONFIG: join(controlPlane.home, "berth.kubeconfig"),
    SWEEP_SECONDS: "1",
    MIN_DURATION_HOURS: "0.001",
  });
  const answers = noteAnswers();
  const using = soakUsers(stack, { answers, files: cluster.files, random });
  const claims = seenClaims(admin, namespace);
  const killed = { stack: 0, apiserver: 0, etcd: 0 };
  let isSoaking = true;
  const often = async (fromMs: number, toMs: number, act: () => Promise<unknown>) => {
    while (isSoaking) {
      await sleep(fromMs + random() * (toMs - fromMs));
      if (isSoaking) await act();
    }
  };

  const work = [
    ...Array.from({ length: users }, () => using.run(Math.ceil(mostJobs / users), submittingMs)),
    ...disks.map((name) => using.runOnDisk(name, submittingMs)),
  ];
  const kills = [
    often(4_000, 14_000, async () => {
      await stack.kill();
      killed.stack += 1;
    }),
    often(3_000, 12_000, async () => {
      const next = killed.etcd < killed.apiserver ? "etcd" : "apiserver";
      const part = killed.etcd === 0 ? next : random() < 0.5 ? "etcd" : "apiserver";
      await controlPlane.restart(part);
      killed[part] += 1;
    }),
    often(1_000, 1_000, () => claims.readClaims().catch(() => undefined)),
  ];
  const soaked = (async () => {
    await sleep(soakMs);
    // On a busy machine starts and kills of a stack take long.
    while (Object.values(killed).includes(0)) await sleep(100);
    isSoaking = false;
  })();
  await Promise.all([...work, ...kills, soaked]);

  const living = (await stack.answered((jobs) => jobs.list())).filter(isMeantToBeCancelled).filter(isLiving);
  await Promise.all(living.map(({ job_id }) => stack.answered((jobs) => jobs.cancel(job_id))));
  const jobs = await eventually(
    () => everyJob(),
    (all) => all.every(isOver),
    longestEndMs,
  ).catch(everyJob);
  const left = await eventually(
    () => leftovers(admin, namespace),
    (found) => found.length === 0,
    30_000,
  ).catch(String);
  // A node that could not report during the outage is listed again after a minute.
  const poolNow = async () => (await stack.answered((client) => client.availability())).h100;
  const pool = await eventually(poolNow, (seen) => seen?.available === gpus, longestEndMs).catch(poolNow);
  const lost = await stack.answered((client) => answers.lost(client));
  const bound = (await claims.readClaims()).map(({ status }) => status.phase);
  if (process.env.SOAK_LOG)
    await writeFile(process.env.SOAK_LOG, `${stack.output()}\n${JSON.stringify(jobs, null, 1)}\n`);
  process.stdout.write(`Killed ${JSON.stringify(killed)}; ${jobs.length} jobs: ${JSON.stringify(ends(jobs))}\n`);

  expect(jobs.flatMap(wrongEnd).join("\n")).toBe("");
  expect(jobs.filter((job) => !isOver(job)).map((job) => JSON.stringify(job))).toEqual([]);
  expect(await begunTwice(cluster.files)).toEqual([]);
  expect(left).toEqual([]);
  expect(lost).toEqual([]);
  expect([await claims.lost(), bound]).toEqual([[], disks.map(() => "Bound")]);
  expect(pool).toMatchObject({ total: gpus, available: gpus, in_use: 0, queued: 0 });
  for (const times of Object.values(killed)) expect(times).toBeGreaterThan(0);

  function everyJob(): Promise<Job[]> {
    return stack.answered(async (client) => Promise.all((await client.list()).map(({ job_id }) => client.get(job_id))));
  }
});

function isLiving({ status }: Job): boolean {
  return ["queued", "preparing", "active"].includes(status);
}

function ends(jobs: readonly Job[]): Record<string, number> {
  const groups = Map.groupBy(jobs, ({ status }) => status);
  return Object.fromEntries([...groups].map(([status, all]) => [status, all.length]));
}

/** Each machine of a job writes to its own file when its command begins. */
async function begunTwice(files: string): Promise<string[]> {
  const names = await readdir(files);
  const texts = await Promise.all(names.map((name) => readFile(join(files, name), "utf8")));
  return names.filter((_, at) => texts[at] !== "begun\n");
}
