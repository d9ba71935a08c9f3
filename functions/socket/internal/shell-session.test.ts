import { expect, it } from "vitest";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { shellSession } from "./shell-session.ts";
import { beginShell } from "./shell-step.ts";

it("sends a notice that arrived during a command once", async () => {
  const world = await memoryWorld();
  const ctx = { ...world.as("alice"), dialect: "onmemos", noun: "workspace" };
  const environment = await createEnvironment(ctx, newEnvironment("ws-demo-alice-1756062811", { gpus: 1 }));
  await world.deliver();
  const [begun, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { startExec } = world.compute;
  Object.assign(world.compute, {
    startExec: async (...args: Parameters<typeof startExec>) => {
      begun.resolve();
      await release.promise;
      return startExec(...args);
    },
  });
  const frames: object[] = [];
  const channel = { send: (frame: object) => void frames.push(frame), close: () => undefined };
  const session = shellSession(ctx, beginShell(environment, 0), channel);
  const found = { notice: { n: 99, words: "Expires in 5 minutes" } };

  const running = session.receive(JSON.stringify({ type: "command", command: "slow" }));
  await begun.promise;
  session.show(found);
  release.resolve();
  await running;
  session.show(found);

  expect(frames.slice(1)).toMatchObject([
    { type: "notice", message: "Expires in 5 minutes" },
    { type: "command_result", command: "slow" },
  ]);
  expect(frames).toHaveLength(3);
});
