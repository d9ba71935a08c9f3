import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { getDisk } from "../../disks/view.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import { MINUTE_MS } from "../../units.ts";
import { readCapacity } from "../admission/availability.ts";

const both: MachineGroup = {
  name: "p5",
  instanceTypes: ["p5.48xlarge"],
  zones: ["zone-a", "zone-b"],
  mostNodes: 2,
  isActive: true,
  admitsRuns: true,
};
/** The same group after its subnet in zone-a was taken from it. */
const onlyB: MachineGroup = { ...both, zones: ["zone-b"] };
const onlyA: MachineGroup = { ...both, zones: ["zone-a"] };

async function worldWith(...groups: readonly MachineGroup[]): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [], settings: { diskVolumeIdleDays: 7 } });
  world.machineGroups.set(groups);
  await wait(world, 2);
  return world;
}

function joins(world: MemoryWorld, name: string, zone: string): void {
  const [node] = newNodes({ h100: 1 });
  const placed = { name, zone, uid: `uid-${name}`, providerId: `memory:///${name}`, group: "p5" };
  if (node) world.compute.setNode({ ...node, ...placed });
}

async function wait(world: MemoryWorld, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) await world.advance(MINUTE_MS);
}

const readDisk = async (world: MemoryWorld) => (await getDisk(world.as("alice"), "data")).disk;

test("a job that waits in a zone which its node group leaves starts in another zone, with a new volume", async () => {
  const world = await worldWith(onlyA);
  await createEnvironment(world.as("alice"), newEnvironment("job", { disk: "data" }));
  await wait(world, 1);
  const before = (await readDisk(world)).volume;
  world.machineGroups.set([onlyB]);
  await wait(world, 18);
  const waiting = await world.read("alice", "job");
  joins(world, "made-1", "zone-b");
  await wait(world, 3);

  const { phase, zone, placement } = await world.read("alice", "job");
  expect([before?.zone, waiting.run.grant?.shares]).toEqual(["zone-a", [{ node: null, units: 8, zone: "zone-b" }]]);
  expect([phase, zone, placement.withdrawals]).toEqual(["active", "zone-b", 0]);
  expect(world.volumes.volumeIds()).toEqual([(await readDisk(world)).volume?.id]);
});

test("a disk in a zone that its node group leaves is made again where the group has machines", async () => {
  const world = await worldWith(both);
  joins(world, "made-1", "zone-a");
  await wait(world, 2);
  await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
  await wait(world, 1);
  const before = (await readDisk(world)).volume;
  world.volumes.write(before?.id ?? "", "work");
  await requestCancel(world.as("alice"), "first");
  await wait(world, 15);
  world.compute.removeNode("made-1");
  world.machineGroups.set([onlyB]);
  await wait(world, 7);

  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 5);
  joins(world, "made-2", "zone-b");
  await wait(world, 5);

  const { volume } = await readDisk(world);
  expect([before?.zone, volume?.zone]).toEqual(["zone-a", "zone-b"]);
  expect(await world.read("alice", "second")).toMatchObject({ phase: "active", zone: "zone-b" });
  expect(world.volumes.findContent(volume?.id ?? "")).toMatchObject({ content: "work" });
});

test("machines in a zone that their node group leaves stay, and their jobs go on", async () => {
  const world = await worldWith(both);
  joins(world, "made-1", "zone-a");
  await wait(world, 2);
  await createEnvironment(world.as("alice"), newEnvironment("job"));
  await wait(world, 1);
  world.machineGroups.set([onlyB]);
  await wait(world, 7);

  expect((await world.read("alice", "job")).phase).toBe("active");
  expect((await readCapacity(world.ctx)).pools).toMatchObject([{ total: 16, available: 8, makeable: 1 }]);
});

test("one world plans two machine types, each with its own node groups, shortage and queue", async () => {
  const a100: MachineGroup = { ...both, name: "p4", instanceTypes: ["p4d.24xlarge"], mostNodes: 1, lacks: "machines" };
  const world = await worldWith(both, a100);
  await createEnvironment(world.as("alice"), newEnvironment("lacking", { pool: "a100" }));
  await createEnvironment(world.as("bob"), newEnvironment("served", { gpus: 16 }));
  await world.advance(10_000);
  const { phase } = await world.read("alice", "lacking");
  const { zone = "" } = (await world.read("bob", "served")).run.grant?.shares[0] ?? {};
  for (const name of ["made-1", "made-2"]) joins(world, name, zone);
  await wait(world, 1);

  expect(phase).toBe("queued");
  expect((await world.read("bob", "served")).run.machines.map(({ name }) => name)).toEqual(["made-1", "made-2"]);
  expect((await readCapacity(world.ctx)).pools).toMatchObject([
    { pool: "h100", total: 16, available: 0, makeable: 0 },
    { pool: "a100", total: 8, available: 0, makeable: 1 },
  ]);
});
