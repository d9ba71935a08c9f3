import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { controllerWork } from "./controller-work.ts";

const never = new AbortController().signal;

it("a controller repeats failed and incomplete work", async () => {
  const done = Promise.withResolvers<number>();
  let steps = 0;

  controllerWork(never)("a", async () => {
    steps += 1;
    if (steps === 1) throw new Error("The server is away");
    if (steps === 3) done.resolve(steps);
    return steps === 3;
  });

  expect(await done.promise).toBe(3);
});

it("a controller runs one step at a time per key, and another for changes during it", async () => {
  const work = controllerWork(never);
  const [first, second] = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()];
  const begun: string[] = [];
  const step = (key: string) => async () => {
    begun.push(key);
    return begun.length === 1 ? first.promise : second.promise;
  };

  work("a", step("a"));
  work("a", step("a"));
  work("b", step("b"));
  const before = [...begun];
  first.resolve(true);
  await setImmediate();

  expect(before).toEqual(["a", "b"]);
  expect(begun).toEqual(["a", "b", "a"]);
  second.resolve(true);
});
