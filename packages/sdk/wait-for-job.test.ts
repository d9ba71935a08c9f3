import { afterEach, expect, test } from "vitest";
import { Berth, WaitTimeoutError } from "./index.ts";
import { openServer, type ServerFixture } from "./server-fixture.ts";
import { countWaitRequests } from "./wait-requests-fixture.ts";

let server: ServerFixture | undefined;
afterEach(() => server?.close());

function shown(status: string, reason: string | null = null, position: number | null = null) {
  return { job_id: "9e41", status, status_reason: reason, queue_position: position, warning: null, actions: [] };
}

test("a wait reports each change once, and reads an unchanged job by its tag", async () => {
  const states = [
    shown("queued", "Need 1", 2),
    shown("queued", "Need 1", 2),
    shown("queued", "Need 1", 1),
    shown("active"),
  ];
  server = await openServer(({ headers }) => {
    const [state] = states;
    const etag = JSON.stringify(JSON.stringify(state).length + Number(state?.queue_position));
    if (headers["if-none-match"] !== etag) states.shift();
    else states.shift();
    return headers["if-none-match"] === etag ? { status: 304 } : { headers: { etag }, body: state };
  });
  const changes: unknown[] = [];

  const job = await new Berth({ url: server.url }).jobs.wait("9e41", {
    until: "active",
    onChange: ({ status, queue_position }) => changes.push([status, queue_position]),
  });

  expect(job.status).toBe("active");
  expect(changes).toEqual([
    ["queued", 2],
    ["queued", 1],
    ["active", null],
  ]);
  expect(server.seen[1]?.headers["if-none-match"]).toBeDefined();
});

test("a wait for an active job returns one that ended before", async () => {
  server = await openServer(() => ({ body: shown("failed", "no such image") }));

  const { status } = await new Berth({ url: server.url }).jobs.wait("9e41", { until: "active" });

  expect(status).toBe("failed");
});

test("a wait that takes too long fails with that reason", async () => {
  server = await openServer(() => ({ body: shown("queued") }));

  const wait = new Berth({ url: server.url }).jobs.wait("9e41", { until: "active", timeoutMs: 1 });

  await expect(wait).rejects.toThrow(WaitTimeoutError);
});

test("a wait continues after an outage, and reports it", async () => {
  const replies = [{ body: shown("queued") }, ...Array(5).fill({ status: 503, headers: { "retry-after": "0" } })];
  server = await openServer(() => replies.shift() ?? { body: shown("active") });
  const outages: string[] = [];

  const job = await new Berth({ url: server.url }).jobs.wait("9e41", {
    until: "active",
    onOutage: ({ code }) => outages.push(code),
  });

  expect(job.status).toBe("active");
  expect(outages).toEqual(["unavailable"]);
});

test("an action that failed is an error with the server's reason", async () => {
  const action = { id: 7, action: "add_user", status: "failed", error: "GitHub could not be asked" };
  server = await openServer(({ method }) => {
    const requested = { job_id: "9e41", message: "Add user request submitted for a public key (message ID: 7)" };
    return { body: method === "POST" ? requested : { ...shown("active"), actions: [action] } };
  });

  const act = new Berth({ url: server.url }).jobs.act("9e41", { action: "add_user", public_key: "ssh-ed25519 AAAA" });

  await expect(act).rejects.toMatchObject({ code: "action_failed", message: "GitHub could not be asked" });
});

test("ten minutes in a queue that moves once a minute take at most 80 requests, and at least 70 % of them are 304", async () => {
  const { requests, notModified, changes } = await countWaitRequests({ minutes: 10 });

  expect(changes).toBe(11);
  expect(requests).toBeLessThanOrEqual(80);
  expect(notModified / requests).toBeGreaterThanOrEqual(0.7);
});
