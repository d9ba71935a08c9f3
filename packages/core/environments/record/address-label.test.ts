import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { Table } from "../../ports/table.ts";
import { environmentKey, hostKey } from "../../store/keys.ts";
import { createEnvironment } from "../verbs/create.ts";
import { claimLabel, releaseLabel } from "./address-label.ts";

test("a host label that is released during a claim goes to the claimant", async () => {
  const { ctx } = await memoryWorld();
  const [before, next] = [ctx.ids.uid(), ctx.ids.uid()];
  await claimLabel(ctx, "box", before, environmentKey("owner", "novita", "before"));
  const put: Table["put"] = async (item, options) => {
    await ctx.table.put(item, options).catch(async (error: unknown) => {
      await releaseLabel(ctx, "box", before);
      throw error;
    });
  };

  await claimLabel({ ...ctx, table: { ...ctx.table, put } }, "box", next, environmentKey("owner", "novita", "next"));

  expect(await ctx.table.get(hostKey("box"))).toMatchObject({ uid: next });
});

test("a host label with an unreadable claim stays taken", async () => {
  const { ctx } = await memoryWorld();
  const key = environmentKey("owner", "novita", "next");
  const claim = { ...hostKey("box"), writers: ["hand"], kind: "host", uid: "no uid" };
  await ctx.table.put(claim);

  const claimed = claimLabel(ctx, "box", ctx.ids.uid(), key);

  await expect(claimed).rejects.toThrow("Changed by another writer: host label");
  expect(await ctx.table.get(hostKey("box"))).toMatchObject(claim);
});

test("a run gets the host label of its environment, if there is one", async () => {
  const world = await memoryWorld();
  const { apply } = world.compute;
  const labels: (string | undefined)[] = [];
  world.compute.apply = async (run) => {
    labels.push(run.addressLabel);
    await apply(run);
  };

  await createEnvironment(world.as("alice"), { ...newEnvironment("one", { gpus: 1 }), addressLabel: "box" });
  await createEnvironment(world.as("alice"), newEnvironment("two", { gpus: 1 }));
  await world.deliver();

  expect(labels.toSorted()).toEqual(["box", undefined]);
});
