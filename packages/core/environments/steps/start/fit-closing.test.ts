import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { HOUR_MS, MINUTE_MS } from "../../../units.ts";
import { reservation } from "../../record/policy.ts";
import { requestExtension } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const START = Date.UTC(2026, 0, 20, 18);
/** The block ends after 4 hours and closes ten minutes before. */
const CLOSES_AT = START + 4 * HOUR_MS - 10 * MINUTE_MS;
const block = { name: "block", instanceTypes: ["p5.48xlarge"], isActive: true, admitsRuns: true, zones: ["zone-a"] };

/** Returns a pool with one machine, of a Capacity Block. */
async function startWorld(): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [], startAt: START });
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, group: "block" });
  world.machineGroups.set([{ ...block, mostNodes: 1, endsAt: START + 4 * HOUR_MS }]);
  await world.advance(6 * MINUTE_MS);
  return world;
}

interface Wish {
  readonly hours: number;
  readonly leastHours?: number;
  readonly gpus?: number;
  readonly requeues?: boolean;
}

async function submit(world: MemoryWorld, id: string, { hours, leastHours, gpus = 4, requeues }: Wish): Promise<void> {
  const policy = {
    ...reservation,
    ...(leastHours !== undefined && { leastMs: leastHours * HOUR_MS }),
    ...(requeues && { onInterruption: "requeue" as const }),
  };
  const command = requeues ? "train" : undefined;
  const wanted = { ...newEnvironment(id, { hours, gpus, ...(command && { command }) }), policy };
  await createEnvironment(world.as("alice"), wanted);
  await world.advance(2 * MINUTE_MS);
}

const read = (world: MemoryWorld, id: string) => world.read("alice", id);
const listNotes = async (world: MemoryWorld, id: string) =>
  (await read(world, id)).events.timeline.flatMap(({ reason }) => (/shorten/i.test(reason ?? "") ? [reason] : []));

test("a job that accepts less time starts on machines that close, and ends before they do", async () => {
  const world = await startWorld();

  await submit(world, "flexible", { hours: 10, leastHours: 2 });
  const { phase, times, size, placement } = await read(world, "flexible");

  expect(phase).toBe("active");
  expect(times.endsAt ?? Infinity).toBeLessThan(CLOSES_AT);
  expect(times.endsAt ?? 0).toBeGreaterThan(CLOSES_AT - 5 * MINUTE_MS);
  expect(placement.shortened).toEqual({ ms: 10 * HOUR_MS - size.wantedMs, until: CLOSES_AT });
  expect(await listNotes(world, "flexible")).toEqual([
    expect.stringMatching(/^Shortened to 22\d minutes: machines close at 2026-01-20 21:50 UTC$/),
  ]);
});

test.each([
  ["did not accept less", {}],
  ["accepts no less than 5 hours", { leastHours: 5 }],
])("a job that %s waits with its whole duration", async (_, wish) => {
  const world = await startWorld();

  await submit(world, "strict", { hours: 10, ...wish });

  const { phase, size, placement } = await read(world, "strict");
  expect([phase, size.wantedMs, placement.shortened]).toEqual(["queued", 10 * HOUR_MS, undefined]);
});

test("a job that fits before the end keeps its duration although it accepts less", async () => {
  const world = await startWorld();

  await submit(world, "short", { hours: 3, leastHours: 1 });

  const { phase, size, placement } = await read(world, "short");
  expect([phase, size.wantedMs, placement.shortened]).toEqual(["active", 3 * HOUR_MS, undefined]);
});

test("a shortened job that gets no machine in time wants its whole duration again, and its extension", async () => {
  const world = await startWorld();
  await submit(world, "first", { hours: 3.5, gpus: 8 });
  await submit(world, "flexible", { hours: 10, leastHours: 3 });
  const before = await read(world, "flexible");

  await requestExtension(world.as("alice"), "flexible", HOUR_MS);
  await world.advance(HOUR_MS);

  const { phase, size, placement } = await read(world, "flexible");
  expect([before.phase, before.placement.shortened?.until]).toEqual(["queued", CLOSES_AT]);
  expect([phase, size.wantedMs, placement.shortened]).toEqual(["queued", 11 * HOUR_MS, undefined]);
  expect(await listNotes(world, "flexible")).toEqual([
    expect.stringMatching(/^Shortened to 2[12]\d minutes: machines close at 2026-01-20 21:50 UTC$/),
    "No longer shortened: waits for machines for 660 minutes",
  ]);
});

test("a shortened job that is interrupted returns to the queue with all of the time that it wanted", async () => {
  const world = await startWorld();
  await submit(world, "flexible", { hours: 10, leastHours: 2, requeues: true });
  const { times, placement } = await read(world, "flexible");

  world.compute.setNode({ ...(newNodes({ h100: 1 })[0] ?? fail()), group: "block", interruption: "spot" });
  await world.advance(5 * MINUTE_MS);

  const { phase, size, placement: after } = await read(world, "flexible");
  expect(times.endsAt).not.toBeNull();
  expect(placement.shortened).toBeDefined();
  expect([phase, after.shortened]).toEqual(["queued", undefined]);
  expect(size.wantedMs).toBeGreaterThan(9.5 * HOUR_MS);
});

function fail(): never {
  throw new Error("There is no machine");
}
