import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { Item, Table } from "../../ports/table.ts";
import { requestCancel } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";
import { listEnvironments } from "./read.ts";

test("an environment that no longer matches when its head is read is not shown", async () => {
  const { as } = await memoryWorld({ nodes: [] });
  const alice = as("alice");
  await createEnvironment(alice, newEnvironment("one"));
  await createEnvironment(alice, newEnvironment("two"));
  const { query } = alice.table;
  const table: Table = {
    ...alice.table,
    async query(input) {
      const page = await query(input);
      await requestCancel(alice, "one");
      return page;
    },
  };

  const { shown, total } = await listEnvironments({ ...alice, table }, { matches: ({ end }) => end.outcome === null });

  expect([shown.map(({ id }) => id), total]).toEqual([["two"], 2]);
});

test("an unreadable environment is not shown, counts, and hides no other", async () => {
  const world = await memoryWorld({ nodes: [] });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("one"));
  await createEnvironment(alice, newEnvironment("two"));
  const two = await world.read("alice", "two");
  await world.table.put({ ...two, requests: "of a later version" } as unknown as Item);

  const { shown, total } = await listEnvironments(alice);

  expect([shown.map(({ id }) => id), total]).toEqual([["one"], 2]);
});
