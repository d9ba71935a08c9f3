import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { postMessage } from "../chat/post.ts";
import { deleteDisk } from "../disks/requests.ts";
import { listDisks } from "../disks/view.ts";
import { requestCancel, requestExtension } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { pauseAdmission, readAdmission } from "../pools/admission/admission.ts";
import type { Stored } from "../ports/table.ts";

const MINUTE = 60_000;
const receiver = "https://hooks.example.com/a";

/** Values that an edit by hand leaves in the writers of every record. */
async function editAll(world: MemoryWorld, writers: unknown): Promise<void> {
  for (const { writers: _, ...item } of world.table.all()) {
    await world.table.put({ ...item, ...(writers !== undefined && { writers }) } as unknown as Stored);
  }
}

test.each([
  ["an empty list", []],
  ["absent", undefined],
  ["a text", "w1"],
  ["a list of no texts", [7]],
])("ends an environment and all that it has although the writers of all records are %s", async (_, writers) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  world.fetch.answer(receiver, () => ({ status: 200, retryAfterMs: null }));
  const ports = [{ port: 8080, kind: "http" } as const];
  const rich = { receiver, ports, jupyter: true, addressLabel: "box" };
  await createEnvironment(world.as("alice"), { ...newEnvironment("one", { disk: "data" }), ...rich });
  await world.advance(MINUTE);
  await pauseAdmission(world.ctx, true);
  await postMessage(world.as("alice"), "one", "hello");
  await editAll(world, writers);
  const before = world.queue.sent();

  await postMessage(world.as("alice"), "one", "hello again");
  await requestExtension(world.as("alice"), "one", 3_600_000);
  await pauseAdmission(world.ctx, false);
  await world.advance(10 * MINUTE);
  const environment = await world.read("alice", "one");
  expect(environment).toMatchObject({ phase: "active", size: { wantedMs: 7_200_000 } });
  expect(world.compute.posts(environment.uid)).toHaveLength(2);

  await editAll(world, writers);
  await requestCancel(world.as("alice"), "one");
  await world.deliver();
  await editAll(world, writers);
  await world.advance(25 * MINUTE);
  const ended = await world.read("alice", "one");
  expect([ended.phase, ended.dueAt]).toEqual(["cancelled", undefined]);
  expect(world.table.all().filter(({ kind }) => ["spec", "host"].includes(String(kind)))).toEqual([]);
  expect(await listDisks(world.as("alice"))).toMatchObject([{ name: "data", inUse: false }]);

  await editAll(world, writers);
  await deleteDisk(world.as("alice"), "data");
  await world.advance(MINUTE);
  expect(await listDisks(world.as("alice"))).toEqual([]);
  expect((await readAdmission(world.ctx)).paused).toBe(false);
  expect(world.fetch.posts.at(-1)?.body).toContain("cancelled");
  expect(world.queue.sent() - before).toBeLessThan(200);
});
