import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { keyText, poolKey } from "../../store/keys.ts";
import { planPools } from "../plan/planner.ts";
import { failureCause, waitBounds } from "./run-outcomes.ts";

const MINUTE = 60_000;

/** Returns how many waits fall into this bucket. */
function waitsUpTo(waits: readonly number[] | undefined, bound: (typeof waitBounds)[number]): number | undefined {
  return waits?.[waitBounds.indexOf(bound)];
}

test("counts each taken grant's wait once, and each life that returned capacity by its end", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const failing = await createEnvironment(world.as("alice"), newEnvironment("fails", { command: "exit 3" }));
  world.compute.program(failing.uid, { kind: "exits", afterMs: 10 * MINUTE, code: 3 });
  await world.advance(1000);
  await createEnvironment(world.as("bob"), newEnvironment("waits"));
  await world.advance(12 * MINUTE);
  await requestCancel(world.as("bob"), "waits");
  await world.advance(20 * MINUTE);

  for (let again = 0; again < 3; again++) await planPools(world.ctx, [{ look: keyText(poolKey("h100")) }]);

  const tally = (await viewPool(world.ctx, "h100"))?.tally;
  expect(tally?.ends).toEqual({ "failed:command": 1, cancelled: 1 });
  expect(waitsUpTo(tally?.waits, 1)).toBe(1);
  expect(waitsUpTo(tally?.waits, 900)).toBe(1);
  expect(tally?.waits.reduce((sum, wait) => sum + wait)).toBe(2);
  expect(tally?.waitedSeconds).toBeGreaterThan(9.5 * 60);
});

test("counts neither a wait nor an end for a job that leaves the queue without a grant", async () => {
  const world = await memoryWorld({ nodes: [] });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE);

  await requestCancel(world.as("alice"), "one");
  await world.advance(2 * MINUTE);

  expect((await viewPool(world.ctx, "h100"))?.tally).toBeUndefined();
});

test("counts reasons in a few words, whatever names and numbers they contain", () => {
  const causes = {
    "command exited with code 137": "command",
    "command could not be started: ENOENT": "command",
    "command was killed by signal SIGKILL": "killed",
    "the environment's process was killed from outside": "killed",
    "Image not found": "image",
    "Not ready after 30 minutes, at step image: ErrImagePull": "deadline",
    "Its compute was deleted in the cluster, but not by Berth": "lost",
    "the machine was restarted": "lost",
    "No machine could start it, 4 times": "placement",
    "Disk 'image' has no volume": "disk",
    "The local stack was stopped": "stack",
    "The command could not be started: its image has no /bin/sh": "command",
    "Refused by the cluster's policy images: only ours": "refused",
    "The cluster refuses the run: data[no name]: Invalid value": "refused",
    "its machine was taken back by its provider: a spot interruption": "lost",
    "its machine was shut down": "lost",
    "evicted by its machine: The node was low on resource: memory.": "lost",
    "it was evicted from its machine": "lost",
    "Something that nobody thought of": "other",
  };

  for (const [reason, cause] of Object.entries(causes)) expect(failureCause(reason), reason).toBe(cause);
  expect(failureCause(null)).toBe("other");
});
