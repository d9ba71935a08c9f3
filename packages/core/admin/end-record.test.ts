import { expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { listDisks } from "../disks/view.ts";
import { reservation } from "../environments/record/policy.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Item } from "../ports/table.ts";
import { environmentKey, inboxKey, keyText, poolKey } from "../store/keys.ts";
import { FORMAT } from "../store/unreadable.ts";
import { endRecord } from "./end-record.ts";

const MINUTE = 60_000;

function keyOfOne(world: MemoryWorld) {
  return environmentKey(world.as("alice").actor.uid, "gpu-dev", "one");
}

async function edit(world: MemoryWorld, fields: Record<string, unknown>): Promise<void> {
  const item = await world.table.get(keyOfOne(world));
  await world.table.put({ ...(item as Item), writers: ["hand"], ...fields });
}

async function running(options: Partial<Parameters<typeof createEnvironment>[1]> = {}, disk?: string) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), { ...newEnvironment("one", { disk, hours: 5 }), ...options });
  await world.advance(MINUTE);
  expect(world.compute.liveUnits("h100-1")).toBe(8);
  return world;
}

test.each([
  ["of an unknown phase", { phase: "hibernating" }],
  ["of a newer format", { format: FORMAT + 1 }],
  ["without its uid and run", { uid: null, run: "first" }],
  ["without its size, its grant and its disk", { size: { pool: 7 }, grant: {}, disk: "data" }],
  [
    "of which next to nothing is left",
    { ...Object.fromEntries(["run", "phase", "policy", "timeline"].map((name) => [name, 0])) },
  ],
])("ends a record %s: compute first, then its GPUs and its disk are free", async (_, fields) => {
  const world = await running({}, "data");
  await edit(world, fields);
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.advance(3 * MINUTE);
  expect((await world.read("bob", "two")).phase).toBe("queued");

  await endRecord(world.ctx, keyText(keyOfOne(world)));
  await world.advance(5 * MINUTE);

  const ended = await world.read("alice", "one");
  const reason = "Ended by the operator: its record could not be read";
  expect(ended).toMatchObject({ phase: "failed", reason, run: { grant: null } });
  expect((await world.read("bob", "two")).phase).toBe("active");
  expect(world.compute.peakUnits("h100-1")).toBe(8);
  expect(await listDisks(world.as("alice"))).toMatchObject([{ name: "data", inUse: false }]);
  expect((await listDisks(world.as("alice")))[0]?.disk.snapshots).toHaveLength(1);
  await world.advance(20 * MINUTE);
  expect((await viewPool(world.ctx, "h100"))?.summary.unreadable).toBe(0);
});

test("holds the units of a record ended by force until its run is seen gone", async () => {
  const world = await running();
  await edit(world, { phase: "hibernating" });
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  const back = takeAway(world.compute, "remove");

  await endRecord(world.ctx, keyText(keyOfOne(world)));
  await world.advance(10 * MINUTE);

  expect((await world.read("bob", "two")).phase).toBe("queued");
  expect((await world.read("alice", "one")).run.grant?.shares).toEqual([{ node: "h100-1", units: 8 }]);
  expect((await viewPool(world.ctx, "h100"))?.held).toHaveLength(1);
  back();
  await world.advance(10 * MINUTE);
  expect((await world.read("bob", "two")).phase).toBe("active");
  expect(world.compute.peakUnits("h100-1")).toBe(8);
});

test("ends a record at the run that it names, although a ledger still names the run before", async () => {
  const world = await running();
  const { run } = await world.read("alice", "one");
  await edit(world, { phase: "hibernating", run: { ...run, n: 2, grant: null } });

  await endRecord(world.ctx, keyText(keyOfOne(world)));
  await world.advance(25 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed", run: { n: 2, grant: null } });
  expect(world.compute.liveUnits("h100-1")).toBe(0);
  expect((await viewPool(world.ctx, "h100"))?.held).toEqual([]);
});

test("removes own volumes, host label and secrets as at every end, and keeps a zip of a volume", async () => {
  const volumes = [{ name: "workspace", path: "/workspace", sizeGb: 1 }];
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const world = await running({ volumes, policy, addressLabel: "box" });
  await edit(world, { phase: "hibernating", policy: "lost" });

  await endRecord(world.ctx, keyText(keyOfOne(world)));
  await world.advance(20 * MINUTE);

  const kinds = world.table.all().map(({ kind }) => kind);
  expect((await world.read("alice", "one")).phase).toBe("failed");
  expect(kinds).toContain("archive");
  expect(kinds).not.toContain("host");
  expect(kinds).not.toContain("spec");
});

test("refuses a readable record, a missing one and a text that is not the key of an environment", async () => {
  const world = await running();
  const gone = keyText({ ...keyOfOne(world), sk: "other" });
  const end = (text: string) => endRecord(world.ctx, text);

  await expect(end(keyText(keyOfOne(world)))).rejects.toMatchObject({ kind: "conflict" });
  await expect(end(gone)).rejects.toMatchObject({ kind: "notFound" });
  for (const text of ["one", "|", "owner#x#disk|y", "owner#x#disk|-", "user#x|-", keyText(inboxKey("x"))]) {
    await expect(end(text)).rejects.toMatchObject({ kind: "invalid" });
  }
});

test("two operators who end a record at once both succeed, and so does a repeat", async () => {
  const world = await running();
  await edit(world, { phase: "hibernating" });
  const end = () => endRecord(world.ctx, keyText(keyOfOne(world)));

  await Promise.all([end(), end()]);
  await end();
  await world.advance(20 * MINUTE);
  await end();

  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed" });
});

test("refuses to end a ledger, and says what to do", async () => {
  const world = await running();

  await expect(endRecord(world.ctx, keyText(poolKey("h100")))).rejects.toMatchObject({
    kind: "conflict",
    message: expect.stringContaining("Repair the field"),
  });
});

test("ends nothing while a ledger item of its pool is unreadable", async () => {
  const world = await running();
  await edit(world, { phase: "hibernating" });
  for (const node of (await viewPool(world.ctx, "h100"))?.nodes ?? []) {
    await world.table.put({ ...node, held: 7 } as unknown as Item);
  }

  await expect(endRecord(world.ctx, keyText(keyOfOne(world)))).rejects.toMatchObject({ kind: "conflict" });

  expect((await world.table.get(keyOfOne(world)))?.phase).toBe("hibernating");
});

test.each([
  ["whose note of its log is broken", (item: Item) => ({ ...item, log: { x: 1 } })],
  [
    "whose grant names no machine",
    (item: Item) => ({ ...item, run: { ...(item.run as object), grant: { shares: [], at: 1 } } }),
  ],
])("ends a record %s", async (_, spoil) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);
  const key = keyOfOne(world);
  await world.table.put(spoil((await world.table.get(key)) as Item));

  await endRecord(world.ctx, keyText(key));
  await world.advance(20 * 60_000);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed", run: { grant: null } });
});

test("deletes the secrets of a record that lost its uid", async () => {
  const world = await memoryWorld({ nodes: [] });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  const key = keyOfOne(world);
  const { uid: _, ...rest } = (await world.table.get(key)) as Item;
  await world.table.put(rest as Item);

  await endRecord(world.ctx, keyText(key));
  await world.advance(2 * 3_600_000);

  expect(world.table.all().filter(({ kind }) => kind === "spec")).toEqual([]);
});

test("ignores a ledger entry of another environment with the same key", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);
  const key = keyOfOne(world);
  const item = (await world.table.get(key)) as Item;
  const run = { ...(item.run as object), n: 3, grant: null };
  await world.table.put({ ...item, uid: "f".repeat(32), run, phase: "broken" } as Item);

  await endRecord(world.ctx, keyText(key));

  expect((await world.read("alice", "one")).run).toMatchObject({ n: 3, grant: null });
});
