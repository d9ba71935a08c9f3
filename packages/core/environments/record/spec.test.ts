import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#testing/memory-world.ts";
import { WrongSeal } from "../../sealed.ts";
import { createEnvironment } from "../verbs/create.ts";
import { forgetSpec, readSpec, writeSpec } from "./spec.ts";

test("two who remove a specification at once both find it gone", async () => {
  const { ctx } = await memoryWorld();
  const environment = { pk: "owner#alice#env#gpu-dev", sk: "one" };
  await writeSpec(ctx, environment, { uid: "u", spec: "s" }, { image: "i", command: undefined, env: {} });

  await Promise.all([forgetSpec(ctx, environment, "s"), forgetSpec(ctx, environment, "s")]);

  expect(await readSpec(ctx, environment, "s")).toBeUndefined();
});

test("a job whose specification was sealed with another key fails at once with that reason", async () => {
  const world = await memoryWorld();
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("one"));
  const { sealer } = world.ctx;
  Object.assign(sealer, { open: async () => Promise.reject(new WrongSeal()) });

  await world.advance(60_000);

  const { phase, reason } = await world.read("alice", "one");
  expect([phase, reason]).toEqual([
    "failed",
    "What it runs cannot be opened: it was sealed with another key, or changed",
  ]);
});
