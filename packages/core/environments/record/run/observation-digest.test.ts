import { expect, test } from "vitest";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { beyondBound } from "#tests/simulator/invariants/bounds.ts";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import type { ComputeNode } from "../../../ports/compute.ts";
import { runMarksKey } from "../../../store/keys.ts";
import { computeDigest, matchesDigest, writeRunMarks } from "./observation-digest.ts";

const SECOND = 1_000;

/** Runs with evenly spread uids; the cluster shows each with `state`. */
function listRuns(count: number, state = "ready") {
  return Array.from({ length: count }, (_, at) => ({
    uid: ((at * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, "0") + at.toString(16).padStart(24, "0"),
    run: 1,
    units: 1,
    mark: `${state} ${at}`,
  }));
}

/** One in 40, because each check costs as much as a worker's. */
const getSample = (runs: Runs) => runs.filter((_, at) => at % 40 === 0);

type Runs = ReturnType<typeof listRuns>;

function nodeWith(runs: Runs): ComputeNode {
  const [name, uid, providerId] = ["node", "node-uid", null];
  return {
    name,
    uid,
    providerId,
    instanceType: "p5.48xlarge",
    zone: "a",
    ready: true,
    units: 8,
    foreignUnits: 0,
    runs,
  };
}

async function marksWorld() {
  const world = await memoryWorld();
  // Without copies, because each of 40,000 checks reads an item of 2,000 marks.
  const table = memoryTable({ clock: world.clock, sharesItems: "frozen" });
  const ctx = { ...world.ctx, table };
  const write = (runs: Runs, at = world.clock.now()) => writeRunMarks(ctx, [nodeWith(runs)], at);
  /** Returns the runs that skip an observation if their record has the mark of this state. */
  const spared = async (runs: Runs) => {
    const answers = await Promise.all(
      runs.map(({ uid, run, mark }) => {
        const ownMark = computeDigest(ctx, run, [{ uid: "node-uid", mark }]);
        return matchesDigest(ctx, { uid, run: { n: run, mark: ownMark } }, world.clock.now());
      }),
    );
    return answers.filter(Boolean).length;
  };
  return { clock: world.clock, table, write, spared };
}

test("40,000 runs all have a mark that saves an observation, in items within their limit", async () => {
  const { table, write, spared } = await marksWorld();
  const runs = listRuns(40_000);

  await write(runs);

  expect(await spared(runs)).toBe(40_000);
  expect(table.all().flatMap((item) => beyondBound(item) ?? [])).toEqual([]);
});

test("a change of one of 40,000 runs is seen, and the others stay spared", async () => {
  const { clock, write, spared } = await marksWorld();
  const [first, ...others] = listRuns(40_000);
  if (!first) throw new Error("No run");
  await write([first, ...others]);
  clock.advance(60 * SECOND);

  await write([{ ...first, mark: "ended" }, ...others]);

  expect([await spared([first]), await spared(getSample(others))]).toEqual([0, 1_000]);
});

test("a run that a later listing does not show is observed, with more and with fewer runs than before", async () => {
  const { clock, write, spared } = await marksWorld();
  const [first, second, ...others] = listRuns(40_000);
  if (!first || !second) throw new Error("No run");
  await write([first, second, ...others]);
  clock.advance(10 * SECOND);
  await write([second, ...others]);
  const whileMany = await spared([first]);
  clock.advance(10 * SECOND);

  await write(others.slice(0, 100));

  expect([whileMany, await spared([first, second]), await spared(others.slice(0, 100))]).toEqual([0, 0, 100]);
});

test("marks of few runs that many replaced, and of many that few replaced, are those of the latest listing", async () => {
  const { clock, write, spared } = await marksWorld();
  const few = listRuns(100);
  await write(few);
  clock.advance(10 * SECOND);
  await write(listRuns(40_000, "probe"));
  const afterMany = [await spared(few), await spared(listRuns(100, "probe"))];
  clock.advance(10 * SECOND);

  await write(few);

  expect(afterMany).toEqual([0, 100]);
  expect([await spared(few), await spared(listRuns(100, "probe"))]).toEqual([100, 0]);
});

test("marks of 40,000 runs are valid for 75 s from the start of their listing", async () => {
  const { clock, write, spared } = await marksWorld();
  const runs = listRuns(40_000);
  await write(runs, clock.now() - 15 * SECOND);

  clock.advance(60 * SECOND);
  const inTime = await spared(getSample(runs));
  clock.advance(1);

  expect([inTime, await spared(getSample(runs))]).toEqual([1_000, 0]);
});

test("a worker of an older version finds no mark of 40,000 runs in the items that it knows, and observes", async () => {
  const { table, write } = await marksWorld();

  await write(listRuns(40_000));

  const knownItems = await table.getMany([..."0123456789abcdef"].map(runMarksKey));
  expect(knownItems.map(({ format, marks }) => [format, Object.keys(marks as object).length])).toEqual(
    Array.from({ length: 16 }, () => [1, 0]),
  );
});

test("a reconcile finds the mark of each of 40,000 runs at every moment while a later listing is written", async () => {
  const { clock, table, write, spared } = await marksWorld();
  const runs = listRuns(40_000);
  await write(runs);
  clock.advance(60 * SECOND);
  const found: number[] = [];
  const { put } = table;
  let writes = Promise.resolve();
  table.put = (item, options) => {
    writes = writes.then(async () => {
      await put(item, options);
      found.push(await spared(runs.slice(0, 10)));
    });
    return writes;
  };

  await write(runs);

  expect(found.length).toBeGreaterThan(256);
  expect(new Set(found)).toEqual(new Set([10]));
});

test("the mark of one of a thousand runs is found with one read", async () => {
  const { table, write, spared } = await marksWorld();
  const runs = listRuns(1_000);
  await write(runs);
  const names: string[] = [];
  const { get } = table;
  table.get = async (key) => {
    names.push(key.pk);
    return get(key);
  };

  expect(await spared(runs.slice(0, 10))).toBe(10);

  expect(names).toHaveLength(10);
});
