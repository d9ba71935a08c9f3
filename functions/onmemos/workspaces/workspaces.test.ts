import { describe, expect, test } from "vitest";
import { plainSession as plain } from "#tests/fixtures/catalog-requests.ts";
import { second } from "#tests/worlds/http-world.ts";
import { onmemosWorld } from "#tests/worlds/onmemos-world.ts";

const BEGIN = 1_768_932_000;
const id = `ws-my-project-developer-${BEGIN}`;
const at = `/v1/cloudrun/workspaces/${id}`;

describe("a workspace", () => {
  test("is a session of Cloud Run with the additional fields of its family", async () => {
    const { ask } = await onmemosWorld();

    const { status, body } = await ask("POST", "/v1/cloudrun/workspaces", { ...plain, ttl_minutes: 30 });

    const { service_url, bucket_name, filestore_instance, ...session } = body;
    expect([status, service_url, bucket_name, filestore_instance]).toEqual([
      ...[201, body.url, `onmemos-my-project-developer-${BEGIN}`, null],
    ]);
    expect(await ask("GET", `/v1/sessions/${id}`)).toEqual({ status: 200, body: session });
    expect(await ask("GET", at)).toEqual({ status: 200, body });
    expect(session).toMatchObject({ id, provider: "cloud_run", status: "running", ttl_minutes: 30 });
  });

  test("lives three hours by default, and ignores the fields of sessions", async () => {
    const { ask } = await onmemosWorld();

    const { body } = await ask("POST", "/v1/cloudrun/workspaces", { ...plain, provider: "gke", needs_ssh: true });

    expect(body).toMatchObject({ provider: "cloud_run", ssh: false, ttl_minutes: 180 });
    expect(body.expires_at).toBe("2026-01-20T21:00:00Z");
  });

  test.each([
    [{ template: "x" }, "template must be one of: python, nodejs, go"],
    [{ namespace: "" }, "namespace is required"],
    [{ user: 1 }, "user must be a string"],
    [{ ttl_minutes: 1441 }, "ttl_minutes must be between 1 and 1440"],
  ])("is refused with %j", async (change, detail) => {
    const { ask } = await onmemosWorld();

    const answer = await ask("POST", "/v1/cloudrun/workspaces", { ...plain, ...change });

    expect(answer).toEqual({ status: 400, body: { detail } });
  });

  test("is created once per Idempotency-Key", async () => {
    const { world, key, ask } = await onmemosWorld();
    const sent = { key, body: plain, headers: { "Idempotency-Key": "k1" } };

    const [first, again] = [
      await world.request("POST", "/v1/cloudrun/workspaces", sent),
      await world.request("POST", "/v1/cloudrun/workspaces", sent),
    ];

    expect([first.status, again.status]).toEqual([201, 201]);
    expect(await again.text()).toBe(await first.text());
    expect((await ask("GET", "/v1/cloudrun/workspaces")).body.count).toBe(1);
  });

  test("is listed with sessions, optionally of one namespace and user", async () => {
    const { world, ask, create } = await onmemosWorld();
    await create();
    await world.advance(1_000);
    const { body } = await ask("POST", "/v1/cloudrun/workspaces", { ...plain, user: "Other" });

    const both = await ask("GET", "/v1/cloudrun/workspaces?namespace=my-project");
    const answer = await ask("GET", "/v1/cloudrun/workspaces?namespace=MY-project&user=OTHER");

    expect(both.body.workspaces.map((it: { id: string }) => it.id)).toEqual([body.id, id]);
    expect(answer).toEqual({ status: 200, body: { workspaces: [body], count: 1 } });
  });

  test("is deleted by either family, once", async () => {
    const { ask, create } = await onmemosWorld();
    await create();
    const { body } = await ask("POST", "/v1/cloudrun/workspaces", { ...plain, user: "other" });

    const answer = [
      await ask("DELETE", at, { any: "body" }),
      await ask("DELETE", at),
      await ask("DELETE", `/v1/sessions/${body.id}`),
    ];

    expect(answer).toEqual([
      { status: 200, body: { message: "Workspace deleted successfully" } },
      { status: 404, body: { detail: "Workspace not found" } },
      { status: 200, body: { ok: true } },
    ]);
  });

  test.each([
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/execute?command=date"],
    ["POST", "/runsh?command=date"],
    ["POST", "/runpython?code=print(1)"],
  ])("is 404 if it is missing or another owner's: %s %s", async (method, verb) => {
    const { world, ask, create } = await onmemosWorld();
    await create();
    const stranger = await world.login(second);
    const none = { status: 404, body: { detail: "Workspace not found" } };

    for (const odd of ["ws-test-developer-123", "{workspace_id}", "x".repeat(3_000), "%00"]) {
      const path = `/v1/cloudrun/workspaces/${encodeURIComponent(odd)}${verb}`;
      expect(await ask(method, path)).toEqual(none);
    }
    expect(await ask(method, `${at}${verb}`, undefined, { key: stranger })).toEqual(none);
  });

  test("opens its shell only to a WebSocket", async () => {
    const { ask, key } = await onmemosWorld();

    const answer = await ask("GET", `${at}/shell?api_key=${key}`, undefined, { key: "" });

    expect(answer).toEqual({ status: 426, body: { detail: "WebSocket upgrade required" } });
  });
});
