import { expect, test } from "vitest";
import { memoryWorld } from "#testing/memory-world.ts";
import { forgetSpec, readSpec, writeSpec } from "./spec.ts";

test("two who remove a specification at once both find it gone", async () => {
  const { ctx } = await memoryWorld();
  const environment = { pk: "owner#alice#env#gpu-dev", sk: "one" };
  await writeSpec(ctx, environment, { uid: "u", spec: "s" }, { image: "i", command: undefined, env: {} });

  await Promise.all([forgetSpec(ctx, environment, "s"), forgetSpec(ctx, environment, "s")]);

  expect(await readSpec(ctx, environment, "s")).toBeUndefined();
});
