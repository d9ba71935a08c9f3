import { describe, expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { parseEnvironment } from "../../environments/record/parse.ts";
import { reservation } from "../../environments/record/policy.ts";
import { decideEnd } from "../../environments/record/transitions.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { requestDelete } from "../../environments/verbs/delete.ts";
import type { Item, Table } from "../../ports/table.ts";
import { keyText } from "../../store/keys.ts";
import { parseDisk } from "../parse.ts";
import { deleteDisk } from "../requests.ts";

const SECOND = 1_000;

/** A disk that `first` holds and is releasing, with a free machine beside it. */
async function endingWorld() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), snapshotMs: 10 * SECOND });
  const alice = world.as("alice");
  const { uid } = await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(60 * SECOND);
  await requestCancel(alice, "first");
  const disk = () => parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
  return { world, alice, uid, disk };
}

/** Wraps a table that runs `work` once, before the first matching write. */
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

test("a disk that is handed over while its lease is being confirmed belongs to the next job, which runs with it", async () => {
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

test("a job cancelled after the hand-over, before its lease is confirmed, is refused and leaves the disk free", async () => {
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

test("a job whose end is decided before its lease is confirmed is refused", async () => {
  const { world, alice, disk } = await endingWorld();
  const table = once(world.table, confirms, async () => {
    const head = await world.read("alice", "second");
    const outcome = { phase: "deleted", reason: "Disk 'data' is in use by first", at: world.clock.now() } as const;
    const decided = { ...decideEnd(head, outcome), dueAt: world.clock.now(), writers: ["sleeper", ...head.writers] };
    await world.table.put(decided);
  });

  const slept = createEnvironment({ ...alice, table }, newEnvironment("second", { disk: "data" }));

  await expect(slept).rejects.toMatchObject({ kind: "conflict", message: "Disk 'data' is currently in use" });
  await world.advance(60 * SECOND);
  expect(disk()).toMatchObject({ heldBy: null, next: null });
});

test("a disk that is handed over is refused to other jobs before a reconcile of its next holder", async () => {
  const { world, alice, uid, disk } = await endingWorld();
  const second = await createEnvironment(alice, newEnvironment("second", { disk: "data" }));
  const { put } = world.ctx.table;
  let third: string | undefined;
  Object.assign(world.ctx.table, {
    async put(...call: Parameters<typeof put>) {
      await put(...call);
      if (third !== undefined || disk().heldBy?.uid === uid) return;
      third = "asks";
      const environment = createEnvironment(alice, newEnvironment("third", { disk: "data" }));
      third = await environment.then(
        () => "has it",
        ({ kind }) => kind,
      );
    },
  });

  await world.advance(120 * SECOND);

  expect(third).toBe("conflict");
  expect(disk().heldBy?.uid).toBe(second.uid);
  expect((await world.read("alice", "second")).phase).toBe("active");
});

test("a disk that is deleted while its job ends is not purged before the job releases it", async () => {
  const world = await memoryWorld({ settings: { diskRetentionDays: 0 } });
  const alice = world.as("alice");
  const disk = () => parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
  await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(60 * SECOND);
  const back = takeAway(world.compute, "remove");
  await requestCancel(alice, "first");
  await world.advance(5 * SECOND);

  await deleteDisk(alice, "data");
  await world.advance(1_800 * SECOND);
  const meanwhile = { phase: disk().phase, volumes: world.volumes.volumeIds().length };
  back();
  await world.advance(3_600 * SECOND);

  expect(meanwhile).toEqual({ phase: "deleted", volumes: 1 });
  expect((await world.read("alice", "first")).phase).toBe("cancelled");
  expect([disk().phase, world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual(["purged", [], []]);
});

test("a job that died before its lease does not release another holder's disk, and ends without it", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const alice = world.as("alice");
  const put: Table["put"] = async (item, options) => {
    if ((item as Item).kind === "disk" && (item as Item).heldBy) throw new Error("died");
    await world.table.put(item, options);
  };
  const dying = { ...alice, table: { ...world.table, put } };
  // In a pool without machines: the second runs before any reconcile of the first.
  const first = newEnvironment("first", { pool: "a100", disk: "data" });
  await expect(createEnvironment(dying, first)).rejects.toThrow("died");

  const second = await createEnvironment(alice, newEnvironment("second", { disk: "data" }));
  await world.advance(2 * SECOND);
  const early = [(await world.read("alice", "first")).phase, (await world.read("alice", "second")).phase];
  await world.advance(180 * SECOND);

  expect(early).toEqual(["queued", "active"]);
  const disk = parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
  expect((await world.read("alice", "first")).phase).toBe("deleted");
  expect((await world.read("alice", "second")).phase).toBe("active");
  expect(disk.heldBy?.uid).toBe(second.uid);
});

test("a disk that became another's after the grant was taken is not opened", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const alice = world.as("alice");
  const { uid, pk, sk, id } = await createEnvironment(alice, newEnvironment("second"));
  await world.advance(60 * SECOND);
  const disk = () => parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
  const { put } = world.ctx.table;
  let isEdited = false;
  Object.assign(world.ctx.table, {
    async put(...call: Parameters<typeof put>) {
      await put(...call);
      if (isEdited || (call[0] as Item).phase !== "preparing") return;
      isEdited = true;
      await put({ ...disk(), heldBy: { uid, key: keyText({ pk, sk }), id } } as Item);
    },
  });

  await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(120 * SECOND);

  const first = await world.read("alice", "first");
  expect([first.phase, first.reason]).toEqual(["failed", "Disk 'data' is no longer its own"]);
  expect(disk()).toMatchObject({ heldBy: { uid }, volume: null });
});

describe("a disk whose holder's id belongs to a newer environment", () => {
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const session = (id: string, disk?: string) => ({ ...newEnvironment(id, { disk }), policy });

  /** A disk that still names the ended first life of `s-1`, because it was unreadable during that end. */
  async function leftWorld() {
    const world = await memoryWorld({ nodes: newNodes({ h100: 3 }) });
    const alice = { ...world.as("alice"), dialect: "session-manager", noun: "session" };
    const disk = () => parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
    const first = await createEnvironment(alice, session("s-1", "data"));
    await world.advance(60 * SECOND);
    const { heldBy } = disk();
    await requestDelete(alice, "s-1");
    await world.advance(120 * SECOND);
    await world.table.put({ ...disk(), heldBy } as Item);
    const present = async (entry: Pick<Item, "pk" | "sk">) => parseEnvironment((await world.table.get(entry)) as Item);
    expect([heldBy?.uid, (await present(first)).phase]).toEqual([first.uid, "deleted"]);
    return { world, alice, disk, present };
  }

  test("is free for another environment, although the new one with that id runs", async () => {
    const { world, alice, disk, present } = await leftWorld();
    const again = await createEnvironment(alice, session("s-1"));
    await world.advance(60 * SECOND);

    const otherEnvironment = await createEnvironment(alice, session("s-2", "data"));
    await world.advance(60 * SECOND);

    expect([(await present(again)).phase, (await present(otherEnvironment)).phase]).toEqual(["active", "active"]);
    expect(disk().heldBy?.uid).toBe(otherEnvironment.uid);
  });

  test("belongs to the new environment only by its own lease", async () => {
    const { world, alice, disk, present } = await leftWorld();

    const again = await createEnvironment(alice, session("s-1", "data"));
    await world.advance(60 * SECOND);

    expect(disk().heldBy?.uid).toBe(again.uid);
    expect((await present(again)).phase).toBe("active");
  });

  test("is not confirmed to an environment that was deleted and replaced in between", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
    const alice = { ...world.as("alice"), dialect: "session-manager", noun: "session" };
    const made: Item[] = [];
    const table = once(
      world.table,
      (item) => (item.disk as { leased?: boolean } | null)?.leased === true,
      async () => {
        await requestDelete(alice, "s-1");
        await world.advance(120 * SECOND);
        made.push((await createEnvironment(alice, session("s-1", "data"))) as unknown as Item);
      },
    );

    const slept = createEnvironment({ ...alice, table }, session("s-1", "data"));

    await expect(slept).rejects.toMatchObject({ kind: "conflict", message: "Disk 'data' is currently in use" });
    const disk = parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
    expect(made.map(({ uid }) => uid)).toEqual([disk.heldBy?.uid]);
  });
});

test("an environment that waits for a disk joins the queue as soon as the disk is released", async () => {
  const world = await memoryWorld({ nodes: [] });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(60 * SECOND);
  await requestCancel(alice, "first");
  await createEnvironment(alice, newEnvironment("second", { disk: "data" }));
  const before = await world.read("alice", "second");

  await world.deliver();

  expect([before.waitPool, (await world.read("alice", "second")).waitPool]).toEqual([undefined, "h100"]);
});

test("an environment that waits for a disk joins the queue as soon as the backup is seen as complete", async () => {
  const world = await memoryWorld({ snapshotMs: 600 * SECOND });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(60 * SECOND);
  await requestCancel(alice, "first");
  await world.advance(7 * SECOND);
  await createEnvironment(alice, newEnvironment("second", { disk: "data" }));
  const disk = () => parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
  const phases = new Set<string>();

  while (!disk().snapshots.some(({ completed }) => completed)) {
    phases.add((await world.read("alice", "second")).phase);
    await world.advance(SECOND);
  }

  expect([...phases]).toEqual(["queued"]);
  expect((await world.read("alice", "second")).phase).toBe("active");
});
