import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { VolumeRefused } from "../problem.ts";

const MINUTE = 60_000;
const reason = "EC2 refused it: RequestLimitExceeded; the volume of disk 'data' is requested again";

/** A job with a new disk, and a function that allows its refused volume. */
async function refused(): Promise<{ world: MemoryWorld; allow: () => void; asked: () => number }> {
  const world = await memoryWorld();
  const { createVolume } = world.volumes;
  let input = 0;
  const refusing: typeof createVolume = async () => {
    input += 1;
    throw new VolumeRefused("EC2 refused it: RequestLimitExceeded");
  };
  Object.assign(world.volumes, { createVolume: refusing });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  const allow = () => void Object.assign(world.volumes, { createVolume });
  return { world, allow, asked: () => input };
}

test("a job with a refused volume shows who refused it and why, retries with growing pauses, and starts once it exists", async () => {
  const { world, allow, asked: input } = await refused();

  await world.advance(MINUTE);
  const early = input();
  await world.advance(10 * MINUTE);
  const { phase, reason: said } = await world.read("alice", "one");
  const later = input() - early;
  allow();
  await world.advance(MINUTE);

  expect([phase, said]).toEqual(["preparing", reason]);
  expect(later).toBeLessThanOrEqual(2 * 10 + 1);
  expect(later).toBeLessThan(early * 10);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("a job with a volume refused until its limit fails with that reason", async () => {
  const { world } = await refused();

  await world.advance(31 * MINUTE);

  const { phase, end } = await world.read("alice", "one");
  expect(phase).toBe("failed");
  expect(end.outcome?.reason).toMatch(
    /^Not ready after 30 minutes, at step disk: EC2 refused it: RequestLimitExceeded; /,
  );
});
