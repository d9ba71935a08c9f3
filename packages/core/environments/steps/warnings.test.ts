import { describe, expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel, requestExtension } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

async function timedWorld(minutes: number) {
  const world = await memoryWorld();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { hours: minutes / 60 }));
  await world.deliver();
  const told = () => world.compute.notices(uid, 1).map(({ kind, words }) => `${kind}: ${words}`);
  const show = () => world.read("alice", "one");
  const reasons = async () => (await show()).events.timeline.flatMap(({ reason }) => reason ?? []);
  return { ...world, uid, told, show, reasons };
}

describe("users are warned before the end", () => {
  test.each([
    [60, [30, 15, 5]],
    [31, [30, 15, 5]],
    [30, [15, 5]],
    [11, [5]],
    [10, [5]],
    [9, [5, 1]],
    [6, [5, 1]],
    [5, [1]],
    [2.5, [0.5]],
  ])("of a run of %d minutes at suitable times: %j", async (minutes, before) => {
    const { advance, reasons, show, told, clock } = await timedWorld(minutes);
    const { endsAt } = (await show()).times;

    await advance(Number(endsAt) - clock.now() - SECOND);

    const words = before.map((left) => (left < 1 ? "30 seconds" : left === 1 ? "1 minute" : `${left} minutes`));
    const warnings = words.map((left) => `Expires in ${left}`);
    expect((await reasons()).filter((reason) => reason.startsWith("Expires"))).toEqual(warnings);
    expect(told()).toEqual(warnings.map((warning) => `warning: ${warning}`));
  });

  test("with the remaining time, if the reconcile is late", async () => {
    const { advance, clock, reasons } = await timedWorld(60);

    await advance(40 * MINUTE);
    clock.advance(17 * MINUTE);
    await advance(SECOND);

    expect((await reasons()).at(-1)).toBe("Expires in 3 minutes");
  });

  test("with the reason in the notice at the end", async () => {
    const [expired, cancelled] = [await timedWorld(6), await timedWorld(60)];

    await expired.advance(7 * MINUTE);
    await requestCancel(cancelled.as("alice"), "one");
    await cancelled.advance(MINUTE);

    expect(expired.told().at(-1)).toBe("end: This environment has expired: Its time is over");
    expect(cancelled.told()).toEqual(["end: This environment was cancelled: Cancelled by its owner"]);
  });

  test("without a delay of the end by unreachable terminals", async () => {
    const { advance, compute, show } = await timedWorld(6);
    takeAway(compute, "tell");

    await advance(7 * MINUTE);

    expect(await show()).toMatchObject({ phase: "expired", attempts: 0 });
  });
});

describe("an extension", () => {
  test("withdraws the warning, and the new end is warned of again", async () => {
    const { advance, as, reasons, told } = await timedWorld(6);
    await advance(1.5 * MINUTE);

    await requestExtension(as("alice"), "one", 60 * MINUTE);
    await advance(3 * SECOND);
    const taken = await reasons();
    await advance(60 * MINUTE);

    expect(taken.slice(-2)).toEqual([
      "Expires in 5 minutes",
      expect.stringMatching(/^Extended: expires at 2026-01-20 /),
    ]);
    const again = ["Expires in 30 minutes", "Expires in 15 minutes", "Expires in 5 minutes"];
    expect((await reasons()).slice(-3)).toEqual(again);
    expect(told()).toEqual([
      "warning: Expires in 5 minutes",
      `news: ${taken.at(-1)}`,
      ...again.map((words) => `warning: ${words}`),
    ]);
  });

  test("by as little as five minutes, at the last moment, is warned of again", async () => {
    const { advance, as, reasons } = await timedWorld(6);
    await advance(5.9 * MINUTE);

    await requestExtension(as("alice"), "one", 4.98 * MINUTE);
    await advance(4.5 * MINUTE);

    expect((await reasons()).at(-1)).toMatch(/^Expires in (1 minute|\d\d seconds)$/);
  });

  test("without an earlier warning is not announced", async () => {
    const { advance, as, told } = await timedWorld(60);

    await requestExtension(as("alice"), "one", 60 * MINUTE);
    await advance(10 * SECOND);

    expect(told()).toEqual([]);
  });

  test("keeps the warning until the cluster accepts it", async () => {
    const { advance, as, compute, told } = await timedWorld(6);
    await advance(1.5 * MINUTE);
    const back = takeAway(compute, "extend");

    await requestExtension(as("alice"), "one", 60 * MINUTE);
    await advance(MINUTE);
    const refused = told();
    back();
    await advance(MINUTE);

    expect(refused).toEqual(["warning: Expires in 5 minutes"]);
    expect(told().at(-1)).toMatch(/^news: Extended/);
  });
});
