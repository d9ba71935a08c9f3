import { afterEach, expect, test } from "vitest";
import { Berth } from "./index.ts";
import { openServer, type ServerFixture } from "./server-fixture.ts";

let server: ServerFixture | undefined;
afterEach(() => server?.close());

const requested = { job_id: "9e41", message: "Extension request submitted (message ID: 7)" };
const outage = Array(5).fill({ status: 503, headers: { "retry-after": "0" }, body: { detail: "Stopping" } });

function jobWith(status: string) {
  return { body: { job_id: "9e41", status: "active", actions: [{ id: 7, action: "extend", status, error: null }] } };
}

test("an accepted action is awaited through an outage", async () => {
  const reads = [...outage, jobWith("requested"), ...outage];
  server = await openServer(({ method }) =>
    method === "POST" ? { body: requested } : (reads.shift() ?? jobWith("done")),
  );

  const { action } = await new Berth({ url: server.url }).jobs.act("9e41", { action: "extend", hours: 1 });

  expect(action.status).toBe("done");
});

test("an accepted action whose state cannot be read in time is not done yet", async () => {
  server = await openServer(({ method }) => (method === "POST" ? { body: requested } : outage[0]));

  const act = new Berth({ url: server.url }).jobs.act("9e41", { action: "extend", hours: 1 }, { timeoutMs: 1 });

  await expect(act).rejects.toMatchObject({ code: "timeout", message: "extend is not done yet" });
});

test("an accepted action whose job is gone fails at once", async () => {
  server = await openServer(({ method }) =>
    method === "POST" ? { body: requested } : { status: 404, body: { detail: "Job not found" } },
  );

  const act = new Berth({ url: server.url }).jobs.act("9e41", { action: "extend", hours: 1 });

  await expect(act).rejects.toMatchObject({ code: "not_found" });
});

test("an accepted operation of a disk is awaited through an outage", async () => {
  const operation = { action: "delete", error: null, status: "completed", completed: true };
  const reads = [...outage, { body: { ...operation, status: "pending", completed: false } }, ...outage];
  server = await openServer(() => reads.shift() ?? { body: operation });

  const settled = new Berth({ url: server.url }).disks.settle({
    disk_name: "d",
    operation_id: "o",
    action: "delete",
    message: "",
    requested_at: "2026-01-01T00:00:00Z",
  });

  await expect(settled).resolves.toMatchObject({ status: "completed" });
});
