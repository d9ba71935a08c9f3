import { afterEach, beforeEach, expect, it } from "vitest";
import { instanceClient } from "./instance-client.ts";
import { eventually } from "./processes.ts";
import { openStackFixture, type StackFixture } from "./stack-fixture.ts";

let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-instance-");
});

afterEach(() => fixture.close());

it("an instance without Jupyter becomes ready, and no process of it survives a stop", async () => {
  const stack = await fixture.start({ LOCAL_NODES: "g6.12xlarge=1" });
  const instances = instanceClient(stack.url, (await stack.env()).API_KEY ?? "");

  const id = await instances.create("plain");
  const ready = await instances.until(id, ["ready", "failed"]);
  await instances.stop(id);
  const stopped = await instances.until(id, ["stopped", "failed"]);

  expect([ready, stopped]).toMatchObject([{ status: "ready" }, { status: "stopped" }]);
  await eventually(
    () => fixture.runs(),
    (runs) => runs.length === 0,
  );
});
