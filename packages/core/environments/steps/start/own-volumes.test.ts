import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { type Policy, reservation } from "../../record/policy.ts";
import type { Environment } from "../../record/record.ts";
import { createEnvironment, type NewEnvironment } from "../../verbs/create.ts";
import { requestDelete } from "../../verbs/delete.ts";
import { requestStart } from "../../verbs/start.ts";
import { requestStop } from "../../verbs/stop.ts";

const MINUTE = 60_000;
const policy: Policy = { ...reservation, time: "none", restarts: true };

function session(id: string): NewEnvironment {
  const volumes = [
    { name: "workspace", path: "/workspace", sizeGb: 5 },
    { name: "home", path: "/home/dev8", sizeGb: 5 },
  ];
  return { ...newEnvironment(id), policy, volumes };
}

const read = (world: MemoryWorld): Promise<Environment> => world.read("alice", "one");

/** The second of two volumes is refused; the first exists, but no record has its id. */
async function halfMade(options: Parameters<typeof memoryWorld>[0] = {}): Promise<{
  world: MemoryWorld;
  allowAll: () => void;
}> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const { createVolume } = world.volumes;
  const refusing: typeof createVolume = (wanted) =>
    wanted.token.includes("-home-") ? Promise.reject(new Error("limit exceeded")) : createVolume(wanted);
  Object.assign(world.volumes, { createVolume: refusing });
  await createEnvironment(world.as("alice"), session("one"));
  await world.advance(5000);
  return { world, allowAll: () => void Object.assign(world.volumes, { createVolume }) };
}

test("each volume is listed in the record before its creation, with its zone and size", async () => {
  const world = await memoryWorld();
  const { createVolume } = world.volumes;
  const listed: unknown[] = [];
  const watched: typeof createVolume = async (wanted) => {
    listed.push((await read(world)).making.find(({ token }) => token === wanted.token));
    return createVolume(wanted);
  };
  Object.assign(world.volumes, { createVolume: watched });

  await createEnvironment(world.as("alice"), session("one"));
  await world.advance(5000);

  const entry = { kind: "volume", zone: "zone-a", sizeGb: 5, from: null };
  expect(listed).toMatchObject([entry, entry]);
  expect(await read(world)).toMatchObject({ phase: "active", making: listed });
  await world.advance(15 * MINUTE);
  expect(await read(world)).toMatchObject({ phase: "active", making: [] });
  expect(world.volumes.volumeIds()).toEqual(["vol-1", "vol-2"]);
});

test("half-made volumes leave nothing behind, and the record is not done before a search for them", async () => {
  const { world, allowAll } = await halfMade();
  const before = await read(world);

  await requestDelete(world.as("alice"), "one");
  allowAll();
  await world.advance(11 * MINUTE);
  const waiting = await read(world);
  await world.advance(5 * MINUTE);

  expect(before).toMatchObject({ phase: "preparing", step: "disk" });
  expect(waiting).toMatchObject({ phase: "deleted", run: { grant: null } });
  expect([waiting.making.length, waiting.ttl]).toEqual([2, undefined]);
  expect(world.volumes.volumeIds()).toEqual([]);
  expect(await read(world)).toMatchObject({ making: [], ttl: expect.any(Number) });
});

test("a volume that a paused worker made after the removal is found and removed, although it is listed late", async () => {
  const world = await memoryWorld({ listedAfterMs: 5 * MINUTE });
  await createEnvironment(world.as("alice"), session("one"));
  await world.advance(6 * MINUTE);
  const [entry] = (await read(world)).making;
  await requestDelete(world.as("alice"), "one");
  await world.advance(20_000);
  const { phase } = await read(world);
  const { token = "", zone = "", sizeGb = 0 } = entry ?? {};

  await world.volumes.createVolume({ token, zone, sizeGb, snapshotId: undefined });
  const late = world.volumes.volumeIds();
  await world.advance(10 * MINUTE);

  expect([phase, late]).toEqual(["deleted", ["vol-3"]]);
  expect(world.volumes.volumeIds()).toEqual([]);
});

test("volumes that were removed long after they were made are not searched for again", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), session("one"));
  await world.advance(20 * MINUTE);

  await requestDelete(world.as("alice"), "one");
  await world.advance(12 * MINUTE);

  expect(world.volumes.history().map(({ kind }) => kind)).toEqual(["created", "created", "removed", "removed"]);
  expect(await read(world)).toMatchObject({ phase: "deleted", ttl: expect.any(Number), making: [] });
});

test("an environment that is restarted in another zone gets its volumes there, under other tokens", async () => {
  const nodes = newNodes({ h100: 2 }).map((node, index) => ({ ...node, zone: index === 0 ? "zone-a" : "zone-b" }));
  const { world, allowAll } = await halfMade({ nodes });
  await requestStop(world.as("alice"), "one");
  allowAll();
  await world.advance(5000);
  const stopped = await read(world);
  await createEnvironment(world.as("bob"), newEnvironment("keeps-zone-a"));
  await world.advance(2000);

  await requestStart(world.as("alice"), "one");
  await world.advance(5000);
  const started = await read(world);
  await world.advance(20 * MINUTE);

  expect([stopped.phase, stopped.making.map(({ zone }) => zone)]).toEqual(["stopped", ["zone-a", "zone-a"]]);
  expect(started).toMatchObject({ phase: "active", zone: "zone-b", volumes: [{ volume: { zone: "zone-b" } }, {}] });
  expect(world.volumes.volumeIds()).toEqual(started.volumes.map(({ volume }) => volume?.id));
  expect((await read(world)).making).toEqual([]);
});

test("an unrecorded volume that is attached is reported and not removed", async () => {
  const log = recordingLog();
  const { world } = await halfMade({ log });
  const { listVolumes } = world.volumes;
  const attached: typeof listVolumes = async (token) =>
    (await listVolumes(token)).map((volume) => ({ ...volume, attached: true }));
  Object.assign(world.volumes, { listVolumes: attached });

  await requestDelete(world.as("alice"), "one");
  await world.advance(30 * MINUTE);

  expect(world.volumes.volumeIds()).toEqual(["vol-1"]);
  expect((await read(world)).making).toHaveLength(1);
  expect(log.lines.filter(({ level, fields }) => level === "error" && fields.volume === "vol-1")).not.toEqual([]);
});

test("an environment continues while volumes cannot be listed, and they are searched for later", async () => {
  const { world, allowAll } = await halfMade();
  const { listVolumes } = world.volumes;
  Object.assign(world.volumes, { listVolumes: () => Promise.reject(new Error("connect ECONNREFUSED")) });
  await requestDelete(world.as("alice"), "one");
  allowAll();
  await world.advance(20 * MINUTE);
  const during = await read(world);

  Object.assign(world.volumes, { listVolumes });
  await world.advance(20 * MINUTE);

  expect([during.phase, during.making.length]).toEqual(["deleted", 2]);
  expect([world.volumes.volumeIds(), (await read(world)).making]).toEqual([[], []]);
});

test("a volume with a refused removal is named, and does not block the removal of host name, secrets and the other volume", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), { ...session("one"), addressLabel: "one-host", sshKeys: [] });
  await world.advance(5000);
  const { removeVolume } = world.volumes;
  const refusing: typeof removeVolume = async (id) => {
    if (id === "vol-1") throw new Error("UnauthorizedOperation");
    await removeVolume(id);
  };
  Object.assign(world.volumes, { removeVolume: refusing });

  await requestDelete(world.as("alice"), "one");
  await world.advance(20 * MINUTE);
  const held = await read(world);
  const secrets = world.table.all().filter(({ kind }) => kind === "spec" || kind === "access" || kind === "host");
  Object.assign(world.volumes, { removeVolume });
  await world.advance(10 * MINUTE);

  expect(secrets).toEqual([]);
  expect(held).toMatchObject({
    phase: "stopping",
    spec: null,
    volumes: [{ volume: { id: "vol-1" } }, { volume: null }],
    end: { waitsFor: "Its volume vol-1 cannot be removed: UnauthorizedOperation" },
  });
  expect(await read(world)).toMatchObject({ phase: "deleted", end: { waitsFor: null } });
  expect(world.volumes.volumeIds()).toEqual([]);
});

test("secrets of an environment that failed before it was active are removed although a volume cannot be", async () => {
  const world = await memoryWorld();
  const clearing: Policy = { ...policy, firstFailure: "clears", forgetsSpec: true };
  Object.assign(world.volumes, { removeVolume: () => Promise.reject(new Error("UnauthorizedOperation")) });
  const { uid } = await createEnvironment(world.as("alice"), { ...session("one"), policy: clearing });
  world.compute.program(uid, { kind: "imageFails", reason: "Image not found" });
  await world.advance(20 * MINUTE);

  expect(await read(world)).toMatchObject({ phase: "stopping", spec: null });
  expect(world.table.all().filter(({ kind }) => kind === "spec")).toEqual([]);
});

test("the deletion of a stopped environment raises an alarm if a volume cannot be removed for a quarter of an hour", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  await createEnvironment(world.as("alice"), session("one"));
  await world.advance(5000);
  await requestStop(world.as("alice"), "one");
  await world.advance(60 * MINUTE);
  Object.assign(world.volumes, { removeVolume: () => Promise.reject(new Error("UnauthorizedOperation")) });
  const alarms = () => log.lines.filter(({ level, event }) => level === "error" && event === "volumes not removed");

  await requestDelete(world.as("alice"), "one");
  await world.advance(10 * MINUTE);
  const early = alarms().length;
  await world.advance(20 * MINUTE);

  expect(early).toBe(0);
  expect(alarms()).not.toEqual([]);
});
