import { findLogLine, parseTime } from "../core/jobs.ts";
import { type Measure, median, percentileRows, type Row } from "../measure.ts";
import { type LocalStack, until, withStack } from "../server/local-stack.ts";

const rounds = 10;
const warmUps = 1;
const nodes = "m7i.8xlarge=2";
/**
 * Limit of reconciles for one sleep: two for hints, one for the capacity and one for the last write. The others wait.
 */
const mostPasses = 6;

/** Times of a session's steps, one session after another on an idle stack. */
export const sessions: Measure = {
  name: "sessions",
  run: () =>
    withStack(nodes, async (stack) => {
      const times = await getTimes(() => sessionLife(stack));
      return [
        ...listRows("session create answers", times.create, 100, "the document: under 1 s"),
        ...listRows("session create → replicas 1", times.replica, 2_000, "the document: 30–45 s until ready"),
        ...listRows("session create → running", times.running, undefined, "its page answers"),
        ...listRows("session scale → limits moved", times.scale, 1_000, "the document: 10–20 s"),
        ...listRows("session sleep → replicas 0", times.sleep, 1_000, "the document: 5–10 s"),
        passesRow("session sleep: looks", times.looks),
        ...listRows("session wake → replicas 1, running", times.wake, 2_000, "the document: 30–45 s"),
        ...listRows("session delete, with its backup", times.delete, undefined, "an empty volume"),
      ];
    }),
};

/** Times of a dev8 workspace's steps. Each call answers when its step is done. */
export const workspaces: Measure = {
  name: "workspaces",
  run: () =>
    withStack(nodes, async (stack) => {
      const times = await getTimes((n) => workspaceLife(stack, `bench-workspace-${n}`));
      return [
        ...listRows("dev8 create", times.create, 3_000, "the document: 2 min 15 s"),
        ...listRows("dev8 stop", times.stop, 1_000, "the document: 2 s"),
        passesRow("dev8 stop: looks", times.looks),
        ...listRows("dev8 start", times.start, 2_000, "the document: 15–20 s"),
        ...listRows("dev8 delete by force, running", times.delete, 2_000, "the document: 5 s"),
      ];
    }),
};

async function sessionLife(stack: LocalStack) {
  const begun = performance.now();
  const { uuid } = await stack.call<{ uuid: string }>("POST", "/session/create", { user_id: "bench" });
  const create = performance.now() - begun;
  const session = `/session/${uuid}`;
  const isSo = (replicas: number, word: string | undefined) => until(() => findState(stack, session, replicas, word));
  await isSo(1, undefined);
  const replica = performance.now() - begun;
  await isSo(1, "running");
  const running = performance.now() - begun;
  const scale = await timeToPass(stack, "resized", () => stack.call("POST", `${session}/scale`, { scale: "up" }));
  const from = stack.lines.length;
  const sleep = await timed(async () => {
    await stack.call("POST", `${session}/sleep`);
    await isSo(0, "sleeping");
  });
  const passes = await countPasses(stack, "stopped", from);
  const wake = await timed(async () => {
    await stack.call("POST", `${session}/wake`);
    await isSo(1, "running");
  });
  return {
    create,
    replica,
    running,
    scale,
    sleep,
    looks: passes,
    wake,
    delete: await timed(() => stack.call("DELETE", session)),
  };
}

async function findState(stack: LocalStack, session: string, replicas: number, word: string | undefined) {
  const state = await stack.call<{ replicas: number; session: { status: string } }>("GET", `${session}/status`);
  return state.replicas === replicas && (word === undefined || state.session.status === word) ? state : undefined;
}

async function workspaceLife(stack: LocalStack, workspaceId: string) {
  const path = "/api/v1/environments";
  const named = { workspaceId, cloudRegion: "centralindia" };
  const input = {
    ...named,
    userId: "bench",
    name: "bench",
    cpuCores: 2,
    memoryGB: 4,
    storageGB: 20,
    baseImage: "node",
  };
  const create = await timed(() => stack.call("POST", path, input));
  const from = stack.lines.length;
  const stop = await timed(() => stack.call("POST", `${path}/stop`, named));
  const passes = await countPasses(stack, "stopped", from);
  const start = await timed(() => stack.call("POST", `${path}/start`, input));
  return {
    create,
    stop,
    looks: passes,
    start,
    delete: await timed(() => stack.call("DELETE", path, { ...named, force: true })),
  };
}

/** Returns the time until the stack logs this step. It logs after writing the record. */
async function timeToPass(stack: LocalStack, did: string, ask: () => Promise<unknown>): Promise<number> {
  const from = stack.lines.length;
  const askedAt = Date.now();
  await ask();
  return parseTime(await findLogLine(stack, did, from)) - askedAt;
}

/** Counts the reconciles of the environment up to and including the one that did this. */
async function countPasses(stack: LocalStack, did: string, from: number): Promise<number> {
  const last = await findLogLine(stack, did, from);
  return stack.lines.slice(from, stack.lines.indexOf(last) + 1).filter(({ event, uid }) => {
    return event === "look" && uid === last.uid;
  }).length;
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await task();
  return performance.now() - begun;
}

/** Returns the times of all rounds except the warm-ups. */
async function getTimes<Name extends string>(
  live: (n: number) => Promise<Readonly<Record<Name, number>>>,
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const lives: Readonly<Record<Name, number>>[] = [];
  for (let n = 0; n < warmUps + rounds; n += 1) lives.push(await live(n));
  const counted = lives.slice(warmUps);
  const names = Object.keys(counted[0] ?? {}) as Name[];
  const all = names.map((name) => [name, counted.map((entry) => entry[name])] as const);
  return Object.fromEntries(all) as Record<Name, number[]>;
}

function listRows(name: string, values: readonly number[], limit: number | undefined, note: string): Row[] {
  return percentileRows(name, values, limit === undefined ? { note } : { p50: limit, note });
}

function passesRow(name: string, values: readonly number[]): Row {
  return {
    name,
    value: Math.max(...values),
    unit: "",
    limit: mostPasses,
    note: `the most of ${rounds}; p50 ${median(values)}`,
  };
}
