import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { Problem } from "../problem.ts";
import { type Begun, beginCreate, keepFailure, keepReply } from "./idempotency.ts";

const refusal = new Problem("conflict", "In use");
const fault = new Error("no answer");
const reply = { status: 200, text: "{}" };
const HOUR = 3_600_000;

async function keyedWorld() {
  const world = await memoryWorld({ nodes: [] });
  const ctx = world.as("alice");
  let input = 0;
  const begin = (body = "{}") => {
    input += 1;
    return beginCreate(
      ctx,
      { method: "POST", path: "/p", key: "k", body },
      { id: `id-${input}`, uid: String(input).padStart(32, "0") },
    );
  };
  return { world, ctx, begin };
}

/** Returns the resource that the request must continue with. */
function going(begun: Begun) {
  if (begun.kind !== "goOn") throw new Error(`Told to ${begun.kind}`);
  return begun.create;
}

test("a repeat while the first request runs continues with its ids", async () => {
  const { begin } = await keyedWorld();

  const [first, next] = [await begin(), await begin()];

  expect(first).toMatchObject({ kind: "goOn", isRepeat: false, create: { resource: { id: "id-1" } } });
  expect(next).toMatchObject({ kind: "goOn", isRepeat: true, create: { resource: { id: "id-1" } } });
  expect(await begin("other")).toEqual({ kind: "otherRequest" });
});

test("a request with the same client-chosen ids continues as a repeat too", async () => {
  const world = await memoryWorld({ nodes: [] });
  const request = { method: "POST", path: "/p", key: "k", body: "{}" };
  const begin = () => beginCreate(world.as("alice"), request, { id: "own", uid: "0".repeat(32) });

  const begun = [await begin(), await begin(), await begin()];

  expect(begun).toMatchObject([{ isRepeat: false }, { isRepeat: true }, { isRepeat: true }]);
});

test("a response outlasts a failure of a concurrent request for the same resource, in either order", async () => {
  for (const failure of [refusal, fault]) {
    const { ctx, begin } = await keyedWorld();
    const [create, two] = [going(await begin()), going(await begin())];

    await keepFailure(ctx, create, failure);
    await keepReply(ctx, two, reply);
    await keepFailure(ctx, create, failure);

    expect(await begin()).toEqual({ kind: "replay", reply });
  }
});

test("a failure that may have created something outlasts a refusal, in either order", async () => {
  for (const order of [
    [refusal, fault],
    [fault, refusal],
  ]) {
    const { ctx, begin } = await keyedWorld();
    const working = [going(await begin()), going(await begin())];

    for (const [n, failure] of order.entries()) await keepFailure(ctx, working[n] ?? going(await begin()), failure);

    expect(await begin()).toMatchObject({ isRepeat: true, create: { resource: { id: "id-1" } } });
  }
});

test("a refused repeat of a failure that may have created something does not free the key", async () => {
  const { ctx, begin } = await keyedWorld();
  await keepFailure(ctx, going(await begin()), fault);

  await keepFailure(ctx, going(await begin()), refusal);

  expect(await begin()).toMatchObject({ isRepeat: true, create: { resource: { id: "id-1" } } });
});

test("after a refusal the key is free for any request, with new ids", async () => {
  for (const body of ["{}", "other"]) {
    const { ctx, begin } = await keyedWorld();
    await keepFailure(ctx, going(await begin()), refusal);

    expect(await begin(body)).toMatchObject({ kind: "goOn", isRepeat: false, create: { resource: { id: "id-2" } } });
  }
});

test("a refusal of one of two concurrent requests does not allow a second resource", async () => {
  for (const refused of [0, 1]) {
    const { ctx, begin } = await keyedWorld();
    const working = [going(await begin()), going(await begin())];

    await keepFailure(ctx, working[refused] ?? going(await begin()), refusal);

    expect(await begin()).toMatchObject({ isRepeat: true, create: { resource: { id: "id-1" } } });
  }
});

test("the key is free for another request after both of two concurrent requests were refused", async () => {
  const { ctx, begin } = await keyedWorld();
  for (const create of [going(await begin()), going(await begin())]) await keepFailure(ctx, create, refusal);

  expect(await begin("other")).toMatchObject({ isRepeat: false, create: { resource: { id: "id-3" } } });
});

test("after an internal failure the key is free for another request, and the same one continues with the same ids", async () => {
  const { ctx, begin } = await keyedWorld();
  await keepFailure(ctx, going(await begin()), fault);

  expect(await begin()).toMatchObject({ isRepeat: true, create: { resource: { id: "id-1" } } });
  expect(await begin("other")).toMatchObject({ isRepeat: false, create: { resource: { id: "id-3" } } });
});

test("keeps a field that a newer version adds while a request runs beside its response", async () => {
  const { world, ctx, begin } = await keyedWorld();
  const [create, two] = [going(await begin()), going(await begin())];
  const added = { by: "a newer version" };
  await world.table.put({ ...two, added } as typeof two);

  await keepReply(ctx, create, reply);

  expect(await world.table.get(two)).toMatchObject({ state: "done", reply, added });
});

test("does not store the response of a request whose key was given to another request since", async () => {
  const { ctx, begin } = await keyedWorld();
  const create = going(await begin());
  await keepFailure(ctx, create, refusal);
  const two = going(await begin("other"));

  await keepReply(ctx, create, reply);

  expect(await begin("other")).toMatchObject({ kind: "goOn", create: { resource: two.resource } });
});

test("a key may be reused after a day, whatever its outcome", async () => {
  const { world, ctx, begin } = await keyedWorld();
  await keepReply(ctx, going(await begin()), reply);

  world.clock.advance(24 * HOUR);

  expect(await begin("other")).toMatchObject({ kind: "goOn", isRepeat: false });
});

test("refuses a repeat of a create whose environment was hidden again, instead of showing it as created", async () => {
  const world = await memoryWorld({ nodes: [] });
  const uid = world.ctx.ids.uid();
  const made = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), uid });
  await world.table.put({
    ...made,
    phase: "deleted",
    waitPool: undefined,
    waitOrder: undefined,
    end: { ...made.end, at: 1, outcome: { phase: "deleted", reason: null, at: 1 } },
  } as typeof made);

  const again = createEnvironment(world.as("alice"), { ...newEnvironment("one"), uid, isRepeat: true });

  await expect(again).rejects.toMatchObject({ kind: "conflict" });
});

test("a request with the id of another environment is not a repeat", async () => {
  const world = await memoryWorld({ nodes: [] });
  await createEnvironment(world.as("alice"), newEnvironment("one"));

  const otherEnvironment = createEnvironment(world.as("alice"), newEnvironment("one"));

  await expect(otherEnvironment).rejects.toThrow("Changed by another writer");
});
