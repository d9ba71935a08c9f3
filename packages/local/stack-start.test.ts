import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { stopAll, together } from "./stack-start.ts";

it("a stop waits as long as each part may take, alone or with others, and gives up a part that hangs", async () => {
  const slow = { patienceMs: 60_000, stop: () => sleep(2_000) };
  const hanging = { patienceMs: 1, stop: () => new Promise<void>(() => {}) };

  const stopped = await Promise.all([
    stopAll([slow]),
    stopAll([together([slow])]),
    stopAll([together([slow, hanging])]),
  ]);

  expect(stopped).toEqual([true, true, false]);
});
