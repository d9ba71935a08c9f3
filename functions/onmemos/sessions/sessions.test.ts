import { describe, expect, test } from "vitest";
import { plainSession as plain } from "#tests/fixtures/catalog-requests.ts";
import { second } from "#tests/worlds/http-world.ts";
import { onmemosWorld } from "#tests/worlds/onmemos-world.ts";

const BEGIN = 1_768_932_000;
const id = `ws-my-project-developer-${BEGIN}`;

describe("POST /v1/sessions", () => {
  test("answers with the documented fields once the session runs", async () => {
    const { ask } = await onmemosWorld();

    const seen = await ask("POST", "/v1/sessions", {
      provider: "auto|cloud_run|gke|workstations",
      template: "python",
      namespace: "my-project",
      user: "developer",
      ttl_minutes: 60,
    });

    expect(seen).toEqual({
      status: 201,
      body: {
        id,
        provider: "cloud_run",
        namespace: "my-project",
        user: "developer",
        status: "running",
        url: `http://onmemos-${id}.preview.localhost`,
        websocket: `/v1/cloudrun/workspaces/${id}/shell`,
        ssh: false,
        details: { service_name: `onmemos-${id}`, bucket_name: `onmemos-my-project-developer-${BEGIN}` },
        template: "python",
        created_at: "2026-01-20T18:00:00Z",
        expires_at: "2026-01-20T19:00:00Z",
        ttl_minutes: 60,
      },
    });
  });

  test("creates a pod on a shared machine with a volume and the documented variables, which come last", async () => {
    const { world, create, head } = await onmemosWorld();

    await create({ env: { GREETING: "hello", N: 1, USER: "somebody" } });

    const { size, resources, volumes, ports, policy } = head(id);
    const spec = world.table.all().find(({ kind }) => kind === "spec");
    expect([size.pool, size.units, resources, ports]).toEqual([...["cpu-shared", 1, { cpus: 1, memoryMb: 2048 }, []]]);
    expect(volumes).toMatchObject([{ name: "workspace", path: "/workspace", sizeGb: 10 }]);
    expect(policy).toMatchObject({ time: "creation", restarts: false, idle: null, archives: null });
    const { env } = JSON.parse(await world.ctx.sealer.open(spec?.sealed as never, `${spec?.pk}|${spec?.sk}`));
    expect(env).toEqual({
      GREETING: "hello",
      N: "1",
      WORKSPACE_ID: id,
      NAMESPACE: "my-project",
      USER: "developer",
      BUCKET_NAME: `onmemos-my-project-developer-${BEGIN}`,
    });
  });

  test.each<[object, string, boolean, number]>([
    [{}, "cloud_run", false, 60],
    [{ provider: "auto" }, "cloud_run", false, 60],
    [{ provider: "gke", long_lived: true }, "gke", false, 1440],
    [{ provider: "cloud_run", long_lived: true, ttl_minutes: 5 }, "cloud_run", false, 5],
    [{ provider: "workstations|gke" }, "workstations", true, 60],
    [{ long_lived: true }, "gke", false, 1440],
    [{ needs_ssh: true, long_lived: true }, "workstations", true, 1440],
    [{ expected_duration_minutes: 61 }, "workstations", true, 60],
    [{ expected_duration_minutes: 60 }, "cloud_run", false, 60],
    [{ provider: "gke", needs_ssh: true }, "gke", false, 60],
    [{ workspace_id: { any: 1 }, more: [] }, "cloud_run", false, 60],
  ])("with %j gets the provider %s", async (more, provider, ssh, ttl_minutes) => {
    const { ask } = await onmemosWorld();

    const { status, body } = await ask("POST", "/v1/sessions", { ...plain, ...more });

    expect([status, body.provider, body.ssh, body.ttl_minutes]).toEqual([201, provider, ssh, ttl_minutes]);
  });

  const name = "1 to 40 letters, numbers, hyphens, and underscores, and begin with a letter or number";
  test.each([
    ["", "template is required"],
    [{ template: undefined }, "template is required"],
    [{ template: "" }, "template must be one of: python, nodejs, go"],
    [{ template: "ruby" }, "template must be one of: python, nodejs, go"],
    [{ template: 1, namespace: 1 }, "template must be one of: python, nodejs, go"],
    [{ namespace: undefined }, "namespace is required"],
    [{ namespace: "", user: "" }, "namespace is required"],
    [{ namespace: ["a"] }, "namespace must be a string"],
    [{ namespace: "a/b" }, `namespace must have ${name}`],
    [{ namespace: "n".repeat(41) }, `namespace must have ${name}`],
    [{ user: null }, "user is required"],
    [{ user: "a b" }, `user must have ${name}`],
    [{ provider: "aws" }, "provider must be one of: auto, cloud_run, gke, workstations"],
    [{ provider: "auto|aws" }, "provider must be one of: auto, cloud_run, gke, workstations"],
    [{ provider: "" }, "provider must be one of: auto, cloud_run, gke, workstations"],
    [{ provider: 1 }, "provider must be a string"],
    [{ ttl_minutes: 0 }, "ttl_minutes must be between 1 and 1440"],
    [{ ttl_minutes: 1441 }, "ttl_minutes must be between 1 and 1440"],
    [{ ttl_minutes: "60" }, "ttl_minutes must be an integer"],
    [{ ttl_minutes: 1.5 }, "ttl_minutes must be an integer"],
    [{ long_lived: "yes" }, "long_lived must be true or false"],
    [{ expected_duration_minutes: 0.5 }, "expected_duration_minutes must be an integer"],
    [{ env: [] }, "env must be an object"],
    [{ env: { PATH: "/" } }, "This name is reserved"],
    [{ env: { A: {} } }, "env.A must be a string"],
    ["{", "Invalid JSON body"],
    ["[]", "Invalid JSON body"],
    [`// "x"\n${JSON.stringify(plain)}`, "Invalid JSON body"],
  ])("refuses %j", async (change, detail) => {
    const { ask } = await onmemosWorld();
    const body = typeof change === "string" ? change : { ...plain, ...change };

    expect(await ask("POST", "/v1/sessions", body)).toEqual({ status: 400, body: { detail } });
  });

  test("answers within the wait budget, with the current state", async () => {
    const { world, ask, create } = await onmemosWorld({ delays: { imageMs: 60_000 } });
    const begun = world.clock.now();

    const { status } = await create();

    expect([status, world.clock.now() - begun]).toEqual(["creating", 25_000]);
    await world.advance(60_000);
    expect((await ask("GET", `/v1/sessions/${id}`)).body.status).toBe("running");
  });

  test("uses the next number if one is taken, even by another owner", async () => {
    const { world, ask } = await onmemosWorld();
    const stranger = await world.login(second);

    const made = await Promise.all(
      ["", "", ""].map(
        async (_, n) => (await ask("POST", "/v1/sessions", plain, n === 1 ? { key: stranger } : {})).body,
      ),
    );

    expect(made.map((session) => session.id).toSorted()).toEqual(
      [0, 1, 2].map((more) => `ws-my-project-developer-${BEGIN + more}`),
    );
  });

  test("names everything in lower case", async () => {
    const { ask, create } = await onmemosWorld();

    const session = await create({ namespace: "My_Project", user: "DEV" });

    const listed = await ask("GET", "/v1/sessions?namespace=MY_project&user=Dev");
    expect(session).toMatchObject({
      id: `ws-my_project-dev-${BEGIN}`,
      namespace: "my_project",
      user: "dev",
      details: { bucket_name: `onmemos-my_project-dev-${BEGIN}` },
    });
    expect(listed.body).toEqual({ sessions: [session], count: 1 });
  });

  test.each([{ namespace: "n".repeat(40), user: "u".repeat(40) }, { namespace: "a_b" }])(
    "serves %j under a valid host label",
    async (names) => {
      const { create } = await onmemosWorld();

      const { url, details } = await create(names);

      const [, label = ""] = /^http:\/\/([^.]+)\.preview\.localhost$/.exec(url) ?? [];
      expect(label).toMatch(/^onmemos-ws-[a-z0-9-]{1,51}-[0-9a-f]{8}$/);
      expect(details.service_name).toMatch(new RegExp(`^onmemos-ws-${names.namespace}-`));
    },
  );

  test("creates one session per Idempotency-Key, and repeats its answer", async () => {
    const { world, key, ask } = await onmemosWorld();
    const send = () =>
      world.request("POST", "/v1/sessions", { key, body: plain, headers: { "Idempotency-Key": "k1" } });

    const [first, again] = [await send(), await send()];

    expect([first.status, again.status, again.headers.get("idempotency-replayed")]).toEqual([201, 201, "true"]);
    expect(await again.text()).toBe(await first.text());
    expect((await ask("GET", "/v1/sessions")).body.count).toBe(1);
    const otherEntry = { key, headers: { "Idempotency-Key": "k1" } };
    expect(await ask("POST", "/v1/sessions", { ...plain, user: "x" }, otherEntry)).toEqual({
      status: 409,
      body: { detail: "Idempotency-Key was already used with a different request" },
    });
  });

  test("finds its session when repeated after a lost answer, although its first number is free again", async () => {
    const { world, ask, create } = await onmemosWorld();
    const { id: taken } = await create();
    const headers = { "Idempotency-Key": "k1" };
    const first = await ask("POST", "/v1/sessions", plain, { headers });
    const note = world.table.all().find(({ kind }) => kind === "idempotency");
    await world.table.put({ ...note, pk: String(note?.pk), sk: "-", state: "open", reply: null } as never);
    await ask("DELETE", `/v1/sessions/${taken}`);
    await world.advance(20_000);

    const again = await ask("POST", "/v1/sessions", plain, { headers });

    expect([taken, first.body.id]).toEqual([id, `ws-my-project-developer-${BEGIN + 1}`]);
    expect([again.status, again.body.id]).toEqual([201, first.body.id]);
    expect((await ask("GET", "/v1/sessions")).body.count).toBe(1);
  });
});

describe("reading", () => {
  test("lists only the caller's sessions, newest first, by exact namespace and user", async () => {
    const { world, ask, create } = await onmemosWorld();
    const names = [
      { namespace: "z", user: "u" },
      { namespace: "a", user: "u" },
      { namespace: "a", user: "v" },
    ];
    for (const name of names) {
      await create(name);
      await world.advance(1_000);
    }
    await world.request("POST", "/v1/sessions", { key: await world.login(second), body: plain });
    const listed = async (query: string) => {
      const { status, body } = await ask("GET", `/v1/sessions${query}`);
      expect([status, body.count]).toEqual([200, body.sessions.length]);
      return body.sessions.map((session: typeof plain) => `${session.namespace}/${session.user}`);
    };

    expect(await listed("")).toEqual(["a/v", "a/u", "z/u"]);
    expect(await listed("?namespace=A")).toEqual(["a/v", "a/u"]);
    expect(await listed("?user=u&namespace=z&x=%zz&%")).toEqual(["z/u"]);
    expect(await listed("?user=%zz")).toEqual([]);
    expect(await listed("?user=")).toEqual([]);
  });

  test.each(["nodeport", "none"] as const)("says with ACCESS=%s that no address leads to it", async (userAccess) => {
    const { ask, create } = await onmemosWorld({ settings: { userAccess } });

    const session = await create({});
    const workspace = (await ask("GET", `/v1/cloudrun/workspaces/${id}`)).body;
    const shown = [session, workspace, (await ask("GET", `/v1/sessions/${id}/connect`)).body];

    const warning = `The session's page cannot be reached: this deployment serves no pages (ACCESS=${userAccess})`;
    expect(shown).toMatchObject(Array(3).fill({ url: null, warning }));
    expect(workspace.service_url).toBeNull();
  });

  test("shows the addresses of a session", async () => {
    const { ask, create } = await onmemosWorld();
    const { url, websocket, ssh } = await create({ provider: "workstations" });

    expect(await ask("GET", `/v1/sessions/${id}/connect`)).toEqual({ status: 200, body: { url, websocket, ssh } });
    expect(ssh).toBe(true);
  });

  test("is 404 as soon as the session's time is over, whatever its record says, and leaves nothing", async () => {
    const { world, ask, create, head } = await onmemosWorld();
    await create({ ttl_minutes: 1 });
    await ask("POST", `/v1/sessions/${id}/execute`, { command: "date" });
    world.clock.advance(head(id).createdAt + 60_000 - world.clock.now());

    const phase = head(id).phase;
    const seen = [
      await ask("GET", `/v1/sessions/${id}`),
      await ask("GET", `/v1/sessions/${id}/connect`),
      await ask("POST", `/v1/sessions/${id}/execute`, { command: "date" }),
      await ask("DELETE", `/v1/sessions/${id}`),
    ];
    const listed = (await ask("GET", "/v1/sessions")).body;
    await world.advance(120_000);

    expect(phase).toBe("active");
    expect(seen).toEqual(seen.map(() => ({ status: 404, body: { detail: "Session not found" } })));
    expect(listed).toEqual({ sessions: [], count: 0 });
    expect([head(id).phase, world.volumes.volumeIds(), await world.compute.listRuns()]).toEqual(["expired", [], []]);
  });

  test("counts the time of a session while it waits in the queue", async () => {
    const { world, ask, create, head } = await onmemosWorld({ nodes: [] });

    const { status } = await create({ ttl_minutes: 1 });
    await world.advance(40_000);

    expect(status).toBe("creating");
    expect((await ask("GET", `/v1/sessions/${id}`)).status).toBe(404);
    expect(head(id).phase).toBe("expired");
  });
});

describe("DELETE /v1/sessions/{id}", () => {
  test("answers at once with the session that is being deleted, and 404 the second time", async () => {
    const { world, ask, create } = await onmemosWorld({ delays: { removeMs: 10_000 } });
    await create();
    const begun = world.clock.now();

    const deleted = await ask("DELETE", `/v1/sessions/${id}?x=%`, { force: true });
    const took = world.clock.now() - begun;
    const shown = (await ask("GET", `/v1/sessions/${id}`)).body.status;
    const again = await ask("DELETE", `/v1/sessions/${id}`);
    const executed = await ask("POST", `/v1/sessions/${id}/execute`, { command: "date" });
    await world.advance(30_000);

    expect([deleted, took, shown]).toEqual([{ status: 200, body: { ok: true } }, 0, "terminating"]);
    expect([again, executed]).toEqual([1, 2].map(() => ({ status: 404, body: { detail: "Session not found" } })));
    expect((await ask("GET", `/v1/sessions/${id}`)).status).toBe(404);
    expect([await world.compute.listRuns(), world.volumes.volumeIds()]).toEqual([[], []]);
  });

  test("removes a failed session, which stays failed until then", async () => {
    const { world, ask, create, head } = await onmemosWorld();
    await create();
    world.compute.kill(head(id).uid, 1);
    await world.advance(60_000);

    const failed = (await ask("GET", `/v1/sessions/${id}`)).body.status;
    const executed = await ask("POST", `/v1/sessions/${id}/execute`, { command: "date" });
    const deleted = await ask("DELETE", `/v1/sessions/${id}`);
    const again = await ask("DELETE", `/v1/sessions/${id}`);

    expect([failed, executed.status]).toEqual(["failed", 500]);
    expect(executed.body.detail).toMatch(/^Session failed to start: command was killed by signal SIG/);
    expect([deleted.status, again.status]).toEqual([200, 404]);
    expect((await ask("GET", "/v1/sessions")).body.count).toBe(0);
    expect(head(id).phase).toBe("failed");
  });
});

describe("a missing session", () => {
  const verbs = [
    ["GET", "", undefined],
    ["DELETE", "", undefined],
    ["GET", "/connect", undefined],
    ["POST", "/execute", { command: "date" }],
  ] as const;
  const odd = ["ws-test-developer-123", "{session_id}", "WS-A-B-1", "ws-", "x".repeat(5_000), "a b", "..%2f", "%00"];

  test.each(verbs)(
    "%s /v1/sessions/{id}%s is 404 for an invalid id and for another owner",
    async (method, verb, body) => {
      const { world, ask, create } = await onmemosWorld();
      await create();
      const none = { status: 404, body: { detail: "Session not found" } };

      for (const name of odd) {
        expect(await ask(method, `/v1/sessions/${encodeURIComponent(name)}${verb}`, body)).toEqual(none);
      }
      const stranger = await world.login(second);
      expect(await ask(method, `/v1/sessions/${id}${verb}`, body, { key: stranger })).toEqual(none);
    },
  );

  test("unknown paths, wrong methods and missing keys have their own answers", async () => {
    const { ask } = await onmemosWorld();

    expect(await ask("GET", "/v1/sessions/")).toEqual({ status: 404, body: { detail: "Not Found" } });
    expect(await ask("PUT", `/v1/sessions/${id}`)).toEqual({ status: 405, body: { detail: "Method Not Allowed" } });
    expect(await ask("GET", `/v1/sessions/${id}?api_key=x`, undefined, { key: "" })).toEqual({
      status: 401,
      body: { detail: "Not authenticated" },
    });
  });
});
