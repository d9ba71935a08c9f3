import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { MINUTE_MS } from "../../units.ts";

/** Runs a job with this image, and returns its machine. It takes the whole machine unless it says otherwise. */
async function run(world: MemoryWorld, name: string, image: string, gpus = 8): Promise<string | undefined> {
  await createEnvironment(world.as(name), { ...newEnvironment(name, { gpus, hours: 1 }), image });
  await world.advance(MINUTE_MS);
  const { phase, run } = await world.read(name, name);
  expect(phase).toBe("active");
  return run.machines[0]?.name;
}

async function end(world: MemoryWorld, ...names: string[]): Promise<void> {
  for (const name of names) await requestCancel(world.as(name), name);
  await world.advance(2 * MINUTE_MS);
}

test("of equally free machines, a job gets one that has had its image", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 3 }) });
  const first = [await run(world, "a", "one"), await run(world, "b", "two"), await run(world, "c", "three")];
  await end(world, "a", "b", "c");

  expect([await run(world, "d", "three"), await run(world, "e", "two"), await run(world, "f", "two")]).toEqual([
    first[2],
    first[1],
    first[0],
  ]);
});

test("a machine with the image is not chosen before a fuller one", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const [one, two] = [await run(world, "a", "one"), await run(world, "b", "two")];
  await end(world, "a", "b");
  expect(await run(world, "c", "one", 4)).toBe(one);

  expect(await run(world, "d", "two", 2)).toBe(one);
  expect(await run(world, "e", "two", 8)).toBe(two);
});

test("of nine images, a machine is known for the latest eight", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  for (let n = 0; n < 9; n += 1) {
    await run(world, `job-${n}`, `image-${n}`);
    await end(world, `job-${n}`);
  }

  const images = Array.from({ length: 8 }, (_, n) => world.ctx.ids.hash(`image-${n + 1}`).slice(0, 8));
  expect(world.table.all().find(({ kind }) => kind === "node")).toMatchObject({ images });
});
