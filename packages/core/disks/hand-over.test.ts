import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, nodesOf } from "#testing/memory-world.ts";
import type { Item, Table } from "../context.ts";
import { createEnvironment } from "../environments/create.ts";
import { requestCancel } from "../environments/requests.ts";
import { parseDisk } from "./parse.ts";

const SECOND = 1_000;

/** A disk that `first` has and is giving back, with a machine free beside it. */
async function endingWorld() {
  const world = await memoryWorld({ nodes: nodesOf({ h100: 2 }), snapshotMs: 10 * SECOND });
  const alice = world.as("alice");
  const { uid } = await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(60 * SECOND);
  await requestCancel(alice, "first");
  const disk = () => parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
  return { world, alice, uid, disk };
}

/** A table that does this once, before the first write that it is true of. */
function once(table: Table, isIt: (item: Item) => boolean, work: () => Promise<void>): Table {
  let isDone = false;
  return {
    ...table,
    async put(item, options) {
      if (!isDone && isIt(item as Item)) {
        isDone = true;
        await work();
      }
      await table.put(item, options);
    },
  };
}

const confirms = ({ sk, disk }: Item) => sk === "second" && (disk as { leased?: boolean } | null)?.leased === true;

test("a disk that is handed over while its lease is being confirmed is the next one's, who runs with it", async () => {
  const { world, alice, uid, disk } = await endingWorld();
  const before = disk();
  let atConfirm: unknown;
  const table = once(world.table, confirms, async () => {
    atConfirm = disk().next?.id;
    await world.advance(60 * SECOND);
  });

  const second = await createEnvironment({ ...alice, table }, newEnvironment("second", { disk: "data" }));
  await world.advance(60 * SECOND);

  expect([before.heldBy?.uid, atConfirm]).toEqual([uid, "second"]);
  expect(disk()).toMatchObject({ heldBy: { uid: second.uid }, next: null, snapshots: [{ completed: true }] });
  const { phase, disk: used } = await world.read("alice", "second");
  expect([phase, used]).toMatchObject(["active", { leased: true, attached: true, released: false }]);
});

test("who is cancelled after the hand-over, before the lease is confirmed, is refused and leaves the disk free", async () => {
  const { world, alice, disk } = await endingWorld();
  const table = once(world.table, confirms, async () => {
    await world.advance(60 * SECOND);
    await requestCancel(alice, "second");
    await world.advance(120 * SECOND);
  });

  const refused = createEnvironment({ ...alice, table }, newEnvironment("second", { disk: "data" }));

  await expect(refused).rejects.toMatchObject({ kind: "conflict", message: "Disk 'data' is currently in use" });
  expect(disk()).toMatchObject({ heldBy: null, next: null });
  await createEnvironment(alice, newEnvironment("third", { disk: "data" }));
  await world.advance(60 * SECOND);
  expect((await world.read("alice", "third")).phase).toBe("active");
});
