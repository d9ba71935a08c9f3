import { expect, it } from "vitest";
import { shared } from "./process-program.ts";

it("a thousand calls during a run share the next run", async () => {
  let runs = 0;
  const call = shared(async () => {
    runs += 1;
    return runs;
  });

  const first = call();
  const during = first.then(() => Promise.all(Array.from({ length: 1_000 }, () => call())));

  expect([await first, new Set(await during)]).toEqual([1, new Set([2])]);
});

it("a call during a run gets the result of a later run", async () => {
  const found: string[] = [];
  const { promise: isRunning, resolve: began } = Promise.withResolvers<void>();
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const call = shared(async () => {
    const copy = [...found];
    began();
    await mayEnd;
    return copy;
  });

  const first = call();
  await isRunning;
  found.push("new");
  const second = call();
  end();

  expect(await Promise.all([first, second])).toEqual([[], ["new"]]);
});

it("a failed run fails only for its own callers", async () => {
  let runs = 0;
  const call = shared(async () => {
    runs += 1;
    if (runs === 1) throw new Error("lost");
    return runs;
  });

  await expect(call()).rejects.toThrow("lost");
  expect(await call()).toBe(2);
});
