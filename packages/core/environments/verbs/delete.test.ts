import { describe, expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { declareNodeGone, withOperatorWord } from "../../pools/capacity/node-gone.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { hostKey, keyText } from "../../store/keys.ts";
import { writeRecord } from "../../store/write-record.ts";
import { listArchives, readArchive } from "../record/disk/archives.ts";
import { type Policy, reservation } from "../record/policy.ts";
import { getEnvironment, listEnvironments } from "../record/read.ts";
import { createEnvironment, type NewEnvironment } from "./create.ts";
import { requestDelete } from "./delete.ts";
import { requestStart } from "./start.ts";
import { requestStop } from "./stop.ts";

const policy: Policy = { ...reservation, time: "none", restarts: true, archives: "workspace" };

function session(id: string, more: Partial<NewEnvironment> = {}): NewEnvironment {
  const volumes = [
    { name: "workspace", path: "/workspace", sizeGb: 5 },
    { name: "home", path: "/home/dev8", sizeGb: 5 },
  ];
  return { ...newEnvironment(id), policy, volumes, ...more };
}

async function activeWorld(more: Partial<NewEnvironment> = {}, options: WorldOptions = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { removeMs: 1000 }, ...options });
  const alice = world.as("alice");
  await createEnvironment(alice, session("one", more));
  await world.deliver();
  return { world, alice };
}

const file = "workspace-one-20260120-180000.zip";

describe("the end of an environment", () => {
  test("the archive is made before the volumes go, and the owner can read it", async () => {
    const { world, alice } = await activeWorld();

    const environment = await requestDelete(alice, "one");
    await world.advance(10_000);

    expect(environment).toMatchObject({ goal: { desired: "deleted" }, end: { outcome: { phase: "deleted" } } });
    await expect(getEnvironment(alice, "one")).rejects.toMatchObject({ kind: "notFound" });
    expect((await listEnvironments(alice)).shown).toEqual([]);
    expect(await listArchives(alice)).toMatchObject([{ sk: file, environment: "one", state: "completed" }]);
    expect(await readArchive(alice, file)).toMatchObject({ bytes: expect.any(Uint8Array) });
    const kinds = world.volumes.history().map(({ kind }) => kind);
    expect(kinds).toEqual(["created", "created", "archived", "removed", "removed"]);
  });

  test("a slow archive is made of the volume that it holds, and is not ended before its minute is over", async () => {
    const { world, alice } = await activeWorld({}, { archiveMs: 30_000 });

    await requestDelete(alice, "one");
    await world.advance(20_000);
    const meanwhile = world.volumes.volumeIds().length;
    await world.advance(20_000);

    expect(meanwhile).toBe(2);
    expect(await listArchives(alice)).toMatchObject([{ sk: file, state: "completed" }]);
    const kinds = world.volumes.history().map(({ kind }) => kind);
    expect(kinds).toEqual(["created", "created", "archived", "removed", "removed"]);
  });

  test("an archive that completes while it is ended is kept, even of a stopped environment", async () => {
    const { world, alice } = await activeWorld({}, { archiveMs: 65_000 });
    // The archiver gets SIGTERM, and takes a moment.
    Object.assign(world.volumes, { endArchive: async () => undefined });

    await requestDelete(alice, "one");
    await world.advance(120_000);
    const ofActive = await listArchives(alice);
    await createEnvironment(alice, session("two"));
    await world.advance(10_000);
    await requestStop(alice, "two");
    await world.advance(10_000);
    await requestDelete(alice, "two");
    await world.advance(120_000);

    expect(ofActive).toMatchObject([{ sk: file, state: "completed" }]);
    expect(await listArchives(alice)).toMatchObject([
      { environment: "two", state: "completed" },
      { environment: "one" },
    ]);
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("another owner sees neither the archive nor its bytes", async () => {
    const { world, alice } = await activeWorld();
    await requestDelete(alice, "one");
    await world.advance(10_000);

    expect(await listArchives(world.as("bob"))).toEqual([]);
    await expect(readArchive(world.as("bob"), file)).rejects.toMatchObject({ kind: "notFound" });
  });

  test("a stopped environment is archived as well, with a generated name by default", async () => {
    const { world, alice } = await activeWorld();
    await requestStop(alice, "one");
    await world.advance(10_000);

    await requestDelete(alice, "one");
    await world.advance(5_000);

    expect(world.volumes.volumeIds()).toEqual([]);
    expect((await listArchives(alice))[0]?.sk).toMatch(/^workspace-one-2026012\d-\d{6}\.zip$/);
  });

  test("an archive that fails, or takes more than a minute, is recorded and delays nothing", async () => {
    const { world, alice } = await activeWorld();
    world.volumes.failArchives(1);
    await requestDelete(alice, "one");
    await world.advance(10_000);
    expect(await listArchives(alice)).toMatchObject([{ state: "failed", bytes: 0 }]);
    await expect(readArchive(alice, file)).rejects.toMatchObject({ kind: "notFound" });

    await createEnvironment(alice, session("two"));
    await world.deliver();
    const refused = { ...world.volumes, startArchive: () => Promise.reject(new Error("no room")) };
    Object.assign(world.volumes, refused);
    await requestDelete(alice, "two");
    await world.advance(75_000);

    expect((await world.read("alice", "two")).phase).toBe("deleted");
    expect((await listArchives(alice))[0]).toMatchObject({ environment: "two", state: "late" });
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("an archive ends although its worker died before its minute, its machine is lost and it never ends by itself", async () => {
    const { world, alice } = await activeWorld({}, { archiveMs: Number.POSITIVE_INFINITY });
    const { put } = world.table;
    let isDead = false;
    Object.assign(world.table, {
      put: async (...[item, options]: Parameters<typeof put>) => {
        const { end } = item as Stored & { readonly end?: { readonly archive?: { readonly startedAt: unknown } } };
        if (isDead || !end?.archive?.startedAt) return put(item, options);
        isDead = true;
        throw new Error("died");
      },
    });

    await requestDelete(alice, "one");
    await expect(world.advance(180_000)).rejects.toThrow("died");
    await world.advance(180_000);

    expect(world.volumes.volumeIds()).toEqual([]);
    expect(await listArchives(alice)).toMatchObject([{ sk: file, state: "late" }]);
  });

  test("the operator's declaration applies to a machine that only an archive uses and no pool has", async () => {
    const { world, alice } = await activeWorld({}, { archiveMs: Number.POSITIVE_INFINITY });
    const { endArchive } = world.volumes;
    const machine = { name: "system-1", uid: "node-uid-system-1", providerId: null };
    const getState = withOperatorWord(world.ctx, async () => "unknown");
    Object.assign(world.volumes, {
      endArchive: async (...input: Parameters<typeof endArchive>) =>
        (await getState(machine)) === "gone" ? endArchive(...input) : machine,
    });

    await requestDelete(alice, "one");
    await world.advance(60 * 60_000);
    const waits = await world.read("alice", "one");
    const found = await declareNodeGone(world.as("op"), "system-1");
    await world.advance(60_000);

    expect(waits).toMatchObject({
      phase: "stopping",
      end: { waitsFor: "system-1 has its archive and is silent; waiting for it or the operator's word" },
    });
    expect(found.uid).toBe(machine.uid);
    expect((await world.read("alice", "one")).phase).toBe("deleted");
    expect(world.volumes.volumeIds()).toEqual([]);
    expect(await listArchives(alice)).toMatchObject([{ sk: file, state: "late" }]);
  });

  test("an archive starts before its minute does, which lost messages may use up", async () => {
    const { world, alice } = await activeWorld();
    const { startArchive } = world.volumes;
    const minutes: unknown[] = [];
    Object.assign(world.volumes, {
      startArchive: async (...input: Parameters<typeof startArchive>) => {
        minutes.push((await world.read("alice", "one")).end.archive?.startedAt);
        await startArchive(...input);
      },
    });

    await requestDelete(alice, "one");
    await world.advance(10_000);

    expect(minutes[0]).toBeNull();
  });

  test("the minute of an archive does not begin with a paused worker that began no archive", async () => {
    const { world, alice } = await activeWorld();
    const { get, put } = world.table;
    const { startArchive } = world.volumes;
    type Read = Stored & {
      readonly end?: { readonly archive?: { readonly named: boolean; readonly startedAt: unknown } };
    };
    let sleepsMs = 21_000;
    const order: string[] = [];
    Object.assign(world.table, {
      get: async (...input: Parameters<typeof get>) => {
        const item = await get(...input);
        if (!(item as Read | undefined)?.end?.archive?.named) return item;
        world.clock.advance(sleepsMs);
        sleepsMs = 0;
        return item;
      },
      put: async (...[item, options]: Parameters<typeof put>) => {
        if ((item as Read).end?.archive?.startedAt) order.push("minute begins");
        return put(item, options);
      },
    });
    Object.assign(world.volumes, {
      startArchive: async (...input: Parameters<typeof startArchive>) => {
        order.push("archive begins");
        await startArchive(...input);
      },
    });

    await requestDelete(alice, "one");
    await world.advance(60_000);

    expect(sleepsMs).toBe(0);
    expect(order.slice(0, 2)).toEqual(["archive begins", "minute begins"]);
  });

  test("an archive that is complete after its minute is listed as such, although an earlier reconcile recorded it as late", async () => {
    const { world, alice } = await activeWorld();
    const { put } = world.table;
    const { findArchive } = world.volumes;
    let isWhole = false;
    Object.assign(world.volumes, {
      findArchive: async (blob: string) => (isWhole ? findArchive(blob) : { state: "pending", bytes: 0 }),
    });
    Object.assign(world.table, {
      put: async (...[item, options]: Parameters<typeof put>) => {
        const { kind, state } = item as Stored & { readonly kind?: string; readonly state?: string };
        const isLate = kind === "archive" && state === "late";
        await put(isLate ? ({ ...item, added: "by a newer version" } as typeof item) : item, options);
        if (!isLate) return;
        isWhole = true;
        throw new Error("died");
      },
    });

    await requestDelete(alice, "one");
    await world.advance(180_000);

    expect(await listArchives(alice)).toMatchObject([{ sk: file, state: "completed", added: "by a newer version" }]);
    expect(await readArchive(alice, file)).toMatchObject({ bytes: expect.any(Uint8Array) });
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("an archive is ended with its minute, under its environment's key, before its volume goes", async () => {
    const { world, alice } = await activeWorld();
    const ended: unknown[] = [];
    const { endArchive } = world.volumes;
    Object.assign(world.volumes, {
      findArchive: async () => ({ state: "pending", bytes: 0 }),
      endArchive: async (...input: Parameters<typeof endArchive>) => {
        ended.push([input, world.volumes.volumeIds().length]);
        await endArchive(...input);
      },
    });
    const { uid } = await getEnvironment(alice, "one");

    await requestDelete(alice, "one");
    await world.advance(90_000);

    const owner = { uid, key: expect.stringMatching(/#env#[^|]+\|one$/) };
    expect(ended).toEqual([[[expect.stringContaining("archives/"), owner], 2]]);
    expect(await listArchives(alice)).toMatchObject([{ state: "late" }]);
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("an archive without an answer is not late, and its volume waits until its state is known", async () => {
    const { world, alice } = await activeWorld();
    const { findArchive, endArchive } = world.volumes;
    const away = async () => Promise.reject(new Error("no answer"));
    Object.assign(world.volumes, { findArchive: away, endArchive: away });

    await requestDelete(alice, "one");
    await world.advance(180_000);
    const [meanwhile, there] = [await listArchives(alice), world.volumes.volumeIds().length];
    Object.assign(world.volumes, { endArchive });
    await world.advance(300_000);
    const ended = await listArchives(alice);
    Object.assign(world.volumes, { findArchive });
    await world.advance(600_000);

    expect([meanwhile, there, ended]).toEqual([[], 2, []]);
    expect(await listArchives(alice)).toMatchObject([{ sk: file, state: "completed" }]);
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("an archive past its minute is not begun again", async () => {
    const { world, alice } = await activeWorld();
    const { startArchive } = world.volumes;
    const begun: number[] = [];
    Object.assign(world.volumes, {
      startArchive: async (...input: Parameters<typeof startArchive>) => {
        begun.push(world.clock.now());
        await startArchive(...input);
      },
      findArchive: async () => ({ state: "pending", bytes: 0 }),
    });

    await requestDelete(alice, "one");
    await world.advance(90_000);

    expect(Math.max(...begun) - Math.min(...begun)).toBeLessThan(60_000);
    expect((await world.read("alice", "one")).phase).toBe("deleted");
  });

  test("an archive that still holds a volume after its end is ended again, because a paused worker may have begun it", async () => {
    const { world, alice } = await activeWorld();
    const { findVolume, endArchive } = world.volumes;
    let ends = 0;
    Object.assign(world.volumes, {
      findVolume: async (id: string) => {
        const volume = await findVolume(id);
        return volume && { ...volume, attached: ends === 1 };
      },
      endArchive: async (...input: Parameters<typeof endArchive>) => {
        ends += 1;
        await endArchive(...input);
      },
    });

    await requestDelete(alice, "one");
    await world.advance(60_000);

    expect(ends).toBe(2);
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("a repeated delete changes nothing, and the volumes wait until no machine has them", async () => {
    const { world, alice } = await activeWorld();
    const { uid } = await getEnvironment(alice, "one");
    world.compute.program(uid, { kind: "lives" }, { ignoresTerm: true });
    await requestStop(alice, "one");
    await requestStart(alice, "one");
    await world.advance(5_000);

    const once = await requestDelete(alice, "one");
    const twice = await requestDelete(alice, "one");
    await world.advance(5_000);

    expect(twice.end.outcome).toEqual(once.end.outcome);
    await world.advance(30_000);
    expect((await world.read("alice", "one")).phase).toBe("deleted");
    const removed = world.volumes.history().filter(({ kind }) => kind === "removed");
    expect(removed).toHaveLength(2);
  });

  test("a run that a paused worker recreated, with its volumes, does not delay the end", async () => {
    const { world, alice } = await activeWorld({}, { leavesTombstones: false });
    await requestStop(alice, "one");
    await world.advance(30_000);
    const { uid, volumes } = await getEnvironment(alice, "one");
    const mounts = volumes.flatMap(({ volume, path }) => (volume ? [{ volume, path }] : []));
    await world.compute.apply({
      uid,
      run: 1,
      key: "",
      name: "one",
      pool: "h100",
      instanceType: "p5.48xlarge",
      image: "",
      mounts,
      command: undefined,
      env: {},
      shares: [{ node: "h100-1", units: 8 }],
      gpusPerMachine: 8,
      ports: [],
      resources: null,
      until: world.clock.now() + 60 * 60_000,
    });
    const wasLive = world.compute.isLive(uid, 1);

    await requestDelete(alice, "one");
    await world.advance(30_000);

    expect([wasLive, world.compute.isLive(uid, 1)]).toEqual([true, false]);
    expect((await world.read("alice", "one")).phase).toBe("deleted");
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("an environment that only waited is removed at once", async () => {
    const { world, alice } = await activeWorld();
    await createEnvironment(alice, session("two"));
    await world.deliver();

    await requestDelete(alice, "two");
    await world.advance(2_000);

    expect((await world.read("alice", "two")).phase).toBe("deleted");
    expect(world.volumes.volumeIds()).toHaveLength(2);
  });

  test("volumes that cannot be created are given up with the time for preparing", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    world.volumes.createVolume = () => Promise.reject(new Error("limit exceeded"));
    await createEnvironment(world.as("alice"), session("one"));

    await world.advance(40 * 60_000);

    const failed = await world.read("alice", "one");
    expect(failed.run.error).toBe("Not ready after 30 minutes, at step disk");
  });
});

describe("a new environment under an old id", () => {
  test("has a new uid, and the old record continues until it is done", async () => {
    const { world, alice } = await activeWorld();
    const first = await getEnvironment(alice, "one");
    await requestDelete(alice, "one");
    await world.advance(5_000);

    await createEnvironment(alice, session("one", { image: "python:3.12" }));
    await world.advance(15 * 60_000);

    const second = await getEnvironment(alice, "one");
    const former = world.table.all().find(({ uid, kind }) => uid === first.uid && kind === "environment");
    expect(second).toMatchObject({ phase: "active", run: { n: 1 } });
    expect(second.uid).not.toBe(first.uid);
    expect(former).toMatchObject({ sk: `one~${first.uid}`, phase: "deleted", end: { cleanLooks: 2 } });
    expect(former?.dueAt).toBeUndefined();
    expect((await listEnvironments(alice)).shown).toHaveLength(1);
  });

  test("takes the id even if a reconcile of the old one writes at the same moment", async () => {
    const { world, alice } = await activeWorld();
    const first = await getEnvironment(alice, "one");
    await requestDelete(alice, "one");
    await world.advance(5_000);
    let passes = 0;
    const put: typeof world.table.put = async (item, options) => {
      if (keyText(item) === keyText(first) && (item as Item).uid !== first.uid && options?.ifWriter && passes++ === 0) {
        const old = await world.read("alice", "one");
        await writeRecord(world.ctx, { ...old, end: { ...old.end, cleanLooks: 1 } });
      }
      await world.table.put(item, options);
    };

    const second = await createEnvironment({ ...alice, table: { ...world.table, put } }, session("one"));
    await world.advance(15 * 60_000);

    expect([passes, second.uid === first.uid]).toEqual([2, false]);
    expect(await getEnvironment(alice, "one")).toMatchObject({ uid: second.uid, phase: "active" });
    const former = world.table.all().find(({ uid, kind }) => uid === first.uid && kind === "environment");
    expect(former).toMatchObject({ sk: `one~${first.uid}`, end: { cleanLooks: 2 } });
    expect(former?.dueAt).toBeUndefined();
  });

  test("is refused while the old one exists or is being deleted", async () => {
    const { alice } = await activeWorld();

    await expect(createEnvironment(alice, session("one"))).rejects.toMatchObject({ name: "Conflict" });
    await requestDelete(alice, "one");
    await expect(createEnvironment(alice, session("one"))).rejects.toMatchObject({ name: "Conflict" });
  });
});

describe("the host label of an environment", () => {
  const addressLabel = "vs-code-abc";

  test("belongs to one owner, and is free again after the end", async () => {
    const { world, alice } = await activeWorld({ addressLabel });
    const bob = world.as("bob");
    await expect(createEnvironment(bob, session("one", { addressLabel }))).rejects.toThrow("host label");
    expect((await listEnvironments(bob)).shown).toEqual([]);

    await requestDelete(alice, "one");
    await world.advance(10_000);
    await createEnvironment(bob, session("one", { addressLabel }));

    expect((await world.table.get(hostKey(addressLabel)))?.uid).toBe((await world.read("bob", "one")).uid);
  });

  test("passes from a dead create to a new one after a minute, and not before", async () => {
    const { world, alice } = await activeWorld();
    const put = world.table.put;
    world.table.put = async (item, options) => {
      if (item.sk === "dies") throw new Error("died");
      await put(item, options);
    };
    await expect(createEnvironment(alice, session("dies", { addressLabel }))).rejects.toThrow("died");
    world.table.put = put;
    await expect(createEnvironment(alice, session("two", { addressLabel }))).rejects.toThrow("host label");

    await world.advance(61_000);
    await createEnvironment(alice, session("two", { addressLabel }));

    expect((await world.table.get(hostKey(addressLabel)))?.uid).toBe((await world.read("alice", "two")).uid);
  });

  test("is refused to a create that was paused and lost its claim, which leaves nothing", async () => {
    const { world, alice } = await activeWorld();
    let isAsleep = true;
    const put: typeof world.table.put = async (item, options) => {
      if (item.sk === "sleeps" && isAsleep) {
        isAsleep = false;
        world.clock.advance(61_000);
        await createEnvironment(world.as("bob"), session("two", { addressLabel }));
      }
      await world.table.put(item, options);
    };

    const slept = createEnvironment({ ...alice, table: { ...world.table, put } }, session("sleeps", { addressLabel }));

    await expect(slept).rejects.toThrow("host label");
    await world.advance(15 * 60_000);
    expect((await listEnvironments(alice)).shown.map(({ id }) => id)).toEqual(["one"]);
    expect((await world.table.get(hostKey(addressLabel)))?.uid).toBe((await world.read("bob", "two")).uid);
    await createEnvironment(alice, session("sleeps", { addressLabel: "another" }));
  });

  test("stays claimed by a create that is repeated after a minute, until its head exists", async () => {
    const { world, alice } = await activeWorld();
    const wanted = { ...session("one-more", { addressLabel }), uid: "a".repeat(32), isRepeat: true };
    let meanwhile = async (): Promise<void> => {
      throw new Error("died");
    };
    const seal: typeof alice.sealer.seal = async (...text) => {
      await meanwhile();
      return alice.sealer.seal(...text);
    };
    const slow = { ...alice, sealer: { ...alice.sealer, seal } };
    await expect(createEnvironment(slow, wanted)).rejects.toThrow("died");
    await world.advance(61_000);

    const otherEntry = () => createEnvironment(world.as("bob"), session("one", { addressLabel }));
    meanwhile = () => expect(otherEntry()).rejects.toThrow("host label");
    await createEnvironment(slow, wanted);

    expect((await world.table.get(hostKey(addressLabel)))?.uid).toBe(wanted.uid);
  });

  test("is released if the id is taken", async () => {
    const { world, alice } = await activeWorld();

    await expect(createEnvironment(alice, session("one", { addressLabel }))).rejects.toMatchObject({
      name: "Conflict",
    });

    expect(await world.table.get(hostKey(addressLabel))).toBeUndefined();
  });
});
