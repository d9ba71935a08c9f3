import { expect, test } from "vitest";
import { memoryWorld, newNodes } from "#tests/worlds/memory-world.ts";
import { declareNodeGone, WORD_MS, withOperatorWord } from "./node-gone.ts";

test("a machine that the operator declared gone is gone for a day, whatever its provider says", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const names: string[] = [];
  const getMachine = withOperatorWord(world.ctx, async ({ name }) => {
    names.push(name);
    return "running";
  });
  const otherEntry = { name: "h100-2", uid: "node-h100-2", providerId: null };

  const machine = await declareNodeGone(world.as("admin"), "h100-1");
  const words = [await getMachine(machine), await getMachine(otherEntry)];
  world.clock.advance(WORD_MS);
  words.push(await getMachine(machine));

  expect(words).toEqual(["gone", "running", "running"]);
  expect(names).toEqual(["h100-2", "h100-1"]);
});
