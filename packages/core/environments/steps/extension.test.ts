import { expect, it } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { hiddenMs } from "../record/changes/extensions.ts";
import { requestCancel, requestExtension } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const why = "The cluster has not accepted it yet; retrying: Error";

it("a job shows why an extension is refused while it is retried, and no longer once it is accepted", async () => {
  const { world, back, read } = await refused(HOUR);
  const [open] = (await read()).requests.list;

  back();
  await world.advance(MINUTE);

  expect(open).toMatchObject({ status: "requested", reason: why });
  expect((await read()).requests.list).toMatchObject([{ status: "done", reason: null }]);
});

it("an extension has failed and is no longer shown if the cluster ends the job at its earlier end", async () => {
  const { world, read } = await refused(4 * HOUR);
  await world.advance(2 * HOUR);

  const ended = await read();
  expect(ended).toMatchObject({
    phase: "expired",
    reason: "Its time is over: the cluster did not accept its extension",
  });
  expect(hiddenMs(ended)).toBe(4 * HOUR);
  expect(ended.requests.list).toMatchObject([
    { kind: "extend", status: "failed", reason: "The cluster did not accept it before the end" },
  ]);
});

it("an extension has failed if the job is cancelled before the cluster accepts it", async () => {
  const { world, read } = await refused(4 * HOUR);

  await requestCancel(world.as("alice"), "one");
  await world.advance(MINUTE);

  expect((await read()).phase).toBe("cancelled");
  expect((await read()).requests.list).toMatchObject([{ status: "failed" }, { kind: "cancel", status: "done" }]);
});

it("an extension is done if the job lived through it although the cluster never accepted it", async () => {
  const { world, read } = await refused(5 * MINUTE);

  await world.advance(HOUR + 6 * MINUTE);

  expect(await read()).toMatchObject({ phase: "expired", reason: "Its time is over" });
  expect((await read()).requests.list).toMatchObject([{ status: "done", reason: null }]);
});

it("a refused extension costs no more reconciles over time, even with changing reasons", async () => {
  const { world, read } = await refused(HOUR);
  let input = 0;
  world.compute.extend = async () => {
    input += 1;
    throw Object.assign(new Error("refused"), { name: `Refusal${input}` });
  };

  await world.advance(10 * MINUTE);

  expect(input).toBeLessThanOrEqual(21);
  expect((await read()).requests.list).toMatchObject([{ reason: expect.stringContaining(`Refusal${input}`) }]);
});

/** A job of an hour, ten seconds old, that is extended while the cluster refuses everything. */
async function refused(extraMs: number) {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);
  const back = takeAway(world.compute, "extend");
  await requestExtension(world.as("alice"), "one", extraMs);
  await world.advance(10_000);
  return { world, back, read: () => world.read("alice", "one") };
}
