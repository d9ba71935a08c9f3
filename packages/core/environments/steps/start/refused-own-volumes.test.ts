import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { VolumeRefused } from "../../../problem.ts";
import { reservation } from "../../record/policy.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;
const refusal = "EC2 refused it: VolumeLimitExceeded";

/** An environment with two own volumes, and a function that allows the refused second one. */
async function refused(
  how: { readonly isForGood?: boolean } = {},
): Promise<{ world: MemoryWorld; allow: () => void; asked: () => number }> {
  const world = await memoryWorld();
  const { createVolume } = world.volumes;
  let input = 0;
  const refusing: typeof createVolume = async (wanted) => {
    if (!wanted.token.includes("-home-")) return createVolume(wanted);
    input += 1;
    throw new VolumeRefused(refusal, how);
  };
  Object.assign(world.volumes, { createVolume: refusing });
  const volumes = [
    { name: "workspace", path: "/workspace", sizeGb: 5 },
    { name: "home", path: "/home/dev8", sizeGb: 5 },
  ];
  const policy = { ...reservation, time: "none", restarts: true } as const;
  await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy, volumes });
  const allow = () => void Object.assign(world.volumes, { createVolume });
  return { world, allow, asked: () => input };
}

test("an environment with a refused volume shows who refused it and why, retries with growing pauses, and starts once it exists", async () => {
  const { world, allow, asked: input } = await refused();

  await world.advance(MINUTE);
  const early = input();
  await world.advance(10 * MINUTE);
  const { phase, reason, attempts } = await world.read("alice", "one");
  const later = input() - early;
  allow();
  await world.advance(MINUTE);
  const begun = await world.read("alice", "one");

  expect([phase, reason]).toEqual(["preparing", `${refusal}; its volume 'home' is requested again`]);
  expect(attempts).toBe(0);
  expect(later).toBeLessThan(early * 10);
  expect([begun.phase, begun.reason]).toEqual(["active", null]);
  expect(world.volumes.volumeIds()).toHaveLength(2);
});

test("an environment with a permanently refused volume stops at once with that reason and releases its machine", async () => {
  const { world } = await refused({ isForGood: true });

  await world.advance(MINUTE);

  const { phase, run } = await world.read("alice", "one");
  expect([phase, run.error, run.grant]).toEqual(["stopped", refusal, null]);
});

test("an environment with a volume refused until its limit stops with that reason", async () => {
  const { world } = await refused();

  await world.advance(31 * MINUTE);

  const { phase, run } = await world.read("alice", "one");
  expect(phase).toBe("stopped");
  expect(run.error).toBe(`Not ready after 30 minutes, at step disk: ${refusal}; its volume 'home' is requested again`);
});
