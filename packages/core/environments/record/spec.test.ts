import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { specKey } from "../../store/keys.ts";
import { WrongSeal } from "../../store/sealed.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestStart } from "../verbs/start.ts";
import { requestStop } from "../verbs/stop.ts";
import { type Policy, reservation } from "./policy.ts";
import { findCommand, forgetSpec, readSpec, writeSpec } from "./spec.ts";

const restartable: Policy = { ...reservation, restarts: true };

test("two simultaneous removals of a specification both succeed", async () => {
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
    "Its specification cannot be decrypted: sealed with another key, or changed",
  ]);
});

test.each([
  ["that is invalid", { image: 7 }],
  ["that a newer version wrote", { format: 99, image: 7 }],
])("a job with a specification %s is shown without its command", async (_, broken) => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { command: "x" }));
  const environment = await world.read("alice", "one");
  const item = await world.table.get(specKey(environment, environment.spec ?? ""));
  if (!item) throw new Error("No specification was written");
  await world.table.put({ ...item, ...broken }, { ifWriter: item.writers[0] ?? null });

  expect(await findCommand(world.ctx, environment)).toBeUndefined();
});

test("a start that keeps parts sealed with another key is refused with that reason", async () => {
  const world = await memoryWorld();
  const alice = world.as("alice");
  await createEnvironment(alice, { ...newEnvironment("one"), policy: restartable });
  await world.deliver();
  await requestStop(alice, "one");
  await world.deliver();
  Object.assign(world.ctx.sealer, { open: async () => Promise.reject(new WrongSeal()) });

  await expect(requestStart(alice, "one", { env: {} })).rejects.toMatchObject({
    kind: "conflict",
    message: expect.stringMatching(
      /^The specification of job one cannot be decrypted: sealed with another key, or changed$/,
    ),
  });
  expect((await world.read("alice", "one")).phase).toBe("stopped");
});
