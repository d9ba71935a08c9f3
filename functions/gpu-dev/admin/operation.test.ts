import { expect, test } from "vitest";
import type { Item } from "#core/ports/table.ts";
import { machineGroupsKey } from "#core/store/keys.ts";
import { openBrowser } from "#tests/fixtures/browser.ts";
import { plainSession, smallJob, submitJob } from "#tests/fixtures/catalog-requests.ts";
import { developer, httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

/** A world whose operator is `developer`, with its key and that of `second`, an ordinary user. */
async function adminWorld() {
  const nodes = newNodes({ h100: 2, "cpu-x86": 1 });
  const world = await httpWorld({ nodes, settings: { adminUsers: ["developer"] } });
  const [admin, user] = [await world.login(developer), await world.login(second)];
  const ask = async (method: string, path: string, key: string, body?: unknown) => {
    const response = await world.request(method, path, { key, body });
    return (await response.json()) as Record<string, unknown>;
  };
  return { world, admin, user, ask };
}

test("pools show who holds each machine until when, and who waits with place, share and reason", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const running = await submitJob(world, user, { gpu_count: 16, duration_hours: 2 });
  await world.advance(5_000);
  const [theirs, own] = [
    await submitJob(world, user, { gpu_count: 8 }),
    await submitJob(world, admin, { gpu_count: 8, name: "mine" }),
  ];
  await ask("POST", "/v1/admin/pools/t4/drain", admin, { reason: "New driver" });
  await world.advance(5_000);

  const { paused, pools } = await ask("GET", "/v1/admin/pools", admin);

  const holder = {
    user_id: "second",
    environment_id: running,
    api: "gpu-dev",
    units: 8,
    phase: "active",
    until: expect.stringMatching(/^2026-01-20T20:00:0\dZ$/),
  };
  expect(paused).toBeNull();
  expect(pools).toEqual([
    expect.objectContaining({
      gpu_type: "t4",
      drained: expect.objectContaining({ by: "developer", reason: "New driver" }),
    }),
    {
      gpu_type: "h100",
      total: 16,
      free: 0,
      in_use: 16,
      drained: null,
      drained_parts: [],
      planned_drains: [],
      node_count: 2,
      nodes: [
        {
          node: "h100-1",
          status: "ready",
          fault: null,
          drained: false,
          zone: expect.any(String),
          node_group: null,
          units: 8,
          holders: [holder],
        },
        {
          node: "h100-2",
          status: "ready",
          fault: null,
          drained: false,
          zone: expect.any(String),
          node_group: null,
          units: 8,
          holders: [holder],
        },
      ],
      waiting_count: 2,
      // The planner prefers the user with less of the type.
      queue: [
        expect.objectContaining({ position: 1, user_id: "developer", environment_id: own, name: "mine", share: 0 }),
        expect.objectContaining({ position: 2, user_id: "second", environment_id: theirs, share: 1 }),
      ],
    },
    expect.objectContaining({ gpu_type: "cpu-x86", in_use: 0, waiting_count: 0, queue: [] }),
  ]);
  const [, { queue }] = pools as { queue: { reason: string }[] }[] as [unknown, { queue: { reason: string }[] }];
  const job = await ask("GET", `/v1/jobs/${own}`, admin);
  expect(queue[0]?.reason).toBe(job.status_reason);
});

test("the list of pools has the node groups, when they were read, and why they were not read since", async () => {
  const { world, admin, ask } = await adminWorld();
  const without = await ask("GET", "/v1/admin/pools", admin);
  const group = { instanceTypes: ["p5.48xlarge"], zones: ["zone-a"], mostNodes: 4, isActive: true, admitsRuns: true };
  world.machineGroups.set([
    { ...group, name: "p5-a", leastNodes: 1, desiredNodes: 2, lacks: "machines", lacksIn: ["zone-a"] },
    {
      ...group,
      name: "p5-b",
      isActive: false,
      lacks: "quota",
      startsAt: Date.UTC(2026, 11, 1),
      endsAt: Date.UTC(2027, 0, 1),
    },
  ]);
  await world.advance(60_000);
  const read = await ask("GET", "/v1/admin/pools", admin);
  world.machineGroups.set(Object.assign(new Error("Rate exceeded"), { name: "ThrottlingException" }));
  for (let minute = 0; minute < 12; minute++) await world.advance(60_000);
  const refused = await ask("GET", "/v1/admin/pools", admin);
  const item = await world.table.get(machineGroupsKey);
  await world.table.put({ ...item, ...machineGroupsKey, groups: "damaged" } as Item);

  type Reading = Readonly<Record<"read_at" | "asked_at", string>>;
  const [before, after] = [read.node_groups, refused.node_groups] as [Reading, Reading];
  expect(without.node_groups).toBeNull();
  const shown = { instance_types: ["p5.48xlarge"], zones: ["zone-a"], max: 4, admits_jobs: true };
  const groups = [
    {
      ...shown,
      node_group: "p5-a",
      min: 1,
      desired: 2,
      active: true,
      lacks: "machines",
      lacks_in: ["zone-a"],
      starts_at: null,
      ends_at: null,
    },
    {
      ...shown,
      node_group: "p5-b",
      min: null,
      desired: null,
      active: false,
      lacks: "quota",
      lacks_in: [],
      starts_at: "2026-12-01T00:00:00Z",
      ends_at: "2027-01-01T00:00:00Z",
    },
  ];
  expect(before).toMatchObject({ read_at: before.asked_at, error: null });
  expect([read.node_groups, refused.node_groups]).toMatchObject([{ groups }, { groups }]);
  expect(after).toMatchObject({ read_at: before.read_at, error: "ThrottlingException" });
  expect(Date.parse(after.asked_at) - Date.parse(after.read_at)).toBeGreaterThanOrEqual(10 * 60_000);
  expect((await ask("GET", "/v1/admin/pools", admin)).node_groups).toBeNull();
});

test("one type is shown also if nothing is known of it, and an unknown one is refused", async () => {
  const { admin, ask } = await adminWorld();

  expect(await ask("GET", "/v1/admin/pools?gpu_type=l4", admin)).toMatchObject({
    pools: [{ gpu_type: "l4", nodes: [], queue: [] }],
  });
  expect(await ask("GET", "/v1/admin/pools?gpu_type=h1000", admin)).toMatchObject({
    detail: [{ loc: ["query", "gpu_type"] }],
  });
});

test("users are listed by name with their keys and browsers, disabled ones too, in pages", async () => {
  const { world, admin, user, ask } = await adminWorld();
  await openBrowser(world, user);
  await world.login(second);
  await ask("POST", "/v1/admin/users/second/disable", admin);

  const all = await ask("GET", "/v1/admin/users", admin);
  const page = await ask("GET", "/v1/admin/users?limit=1&offset=1", admin);
  world.clock.advance(24 * 3_600_000);
  const later = await ask("GET", "/v1/admin/users", await world.login(developer));

  const theirs = { username: "second", user_id: 2, disabled: true, key_count: 2, web_session_count: 1 };
  expect(all).toMatchObject({
    users: [{ username: "developer", user_id: 1, disabled: false, key_count: 1, web_session_count: 0 }, theirs],
    total: 2,
  });
  expect(page).toMatchObject({ users: [theirs], total: 2, limit: 1, offset: 1 });
  expect(later).toMatchObject({ users: [{}, { username: "second", key_count: 0, last_issued_at: null }] });
});

test("a user of an earlier version, or whose first login died, is listed after the next login", async () => {
  let isOld = true;
  const world = await httpWorld({
    settings: { adminUsers: ["developer"] },
    wrap: (ports) => ({
      ...ports,
      table: {
        ...ports.table,
        put: async (item, options) => {
          if (!isOld || item.pk !== "users") await ports.table.put(item, options);
        },
      },
    }),
  });
  const admin = await world.login(developer);
  const list = async () => (await world.request("GET", "/v1/admin/users", { key: admin })).json();

  expect(await list()).toMatchObject({ users: [], total: 0 });
  isOld = false;
  await world.login(developer);

  expect(await list()).toMatchObject({ users: [{ username: "developer" }], total: 1 });
});

test("deliveries of all users that wait are listed without their URL, and with a user also ended ones", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const webhook_url = "https://hooks.example/secret";
  const job = { ...smallJob, instance_type: "p5.48xlarge", webhook_url };
  let isFirst = true;
  world.fetch.answer(webhook_url, () => {
    const status = isFirst ? 200 : 503;
    isFirst = false;
    return { status, retryAfterMs: null };
  });
  const id = await submitJob(world, user, job);
  await world.advance(1_000);

  const waiting = await ask("GET", "/v1/admin/webhooks/deliveries", admin);
  const ofUser = await ask("GET", "/v1/admin/webhooks/deliveries?user=second", admin);
  const ofOther = await ask("GET", "/v1/admin/webhooks/deliveries?user=developer", admin);
  const ofNobody = await ask("GET", "/v1/admin/webhooks/deliveries?user=nobody", admin);

  const { deliveries } = await ask("GET", "/v1/webhooks/deliveries", user);
  const own = (deliveries as object[]).map((delivery) => ({ ...delivery, user_id: "second" }));
  expect(own.length).toBeGreaterThan(1);
  expect(ofUser).toEqual({ deliveries: own, next: null });
  const stillWaiting = own.filter((each) => "state" in each && each.state === "waiting");
  expect(stillWaiting.length).toBeGreaterThan(0);
  expect(stillWaiting.length).toBeLessThan(own.length);
  expect(waiting).toEqual({ deliveries: stillWaiting, next: null });
  expect(JSON.stringify([waiting, ofUser])).toContain(id);
  expect(JSON.stringify([waiting, ofUser])).not.toContain("secret");
  expect(ofOther).toEqual({ deliveries: [], next: null });
  expect(ofNobody).toEqual({ detail: "User 'nobody' not found" });
});

test("the owner of a cancelled job reads the operator's reason", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const id = await submitJob(world, user);
  await ask("POST", `/v1/admin/jobs/${id}/cancel`, admin, { reason: "The rack is moved at 18:00" });
  await world.advance(5_000);

  expect(await ask("GET", `/v1/jobs/${id}`, user)).toMatchObject({
    status: "cancelled",
    status_reason: expect.stringContaining("Cancelled by the operator: The rack is moved at 18:00"),
  });
  for (const reason of ["", "x".repeat(201), 7]) {
    const other = await submitJob(world, user);
    expect(await ask("POST", `/v1/admin/jobs/${other}/cancel`, admin, { reason })).toMatchObject({
      detail: [{ loc: ["body", "reason"] }],
    });
  }
});

test("environments of all APIs are in one list with links, newest first, and only the caller's", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user, { name: "train" });
  await world.advance(1_000);
  const { id: session } = await ask("POST", "/v1/sessions", user, plainSession);
  await world.advance(1_000);
  const { uuid } = await ask("POST", "/session/create", user, { user_id: "u@example.com" });
  await world.advance(1_000);
  await submitJob(world, admin);

  const listed = await ask("GET", "/v1/environments", user);
  const page = await ask("GET", "/v1/environments?limit=1&offset=1", user);

  expect(listed).toMatchObject({
    environments: [
      { id: uuid, api: "session-manager", links: { self: `/session/${uuid}` } },
      { id: session, api: "onmemos", links: { self: `/v1/sessions/${session}` } },
      { id: job, api: "gpu-dev", name: "train", phase: "active", gpu_type: "h100", links: { self: `/v1/jobs/${job}` } },
    ],
    total: 3,
  });
  expect(page).toMatchObject({ environments: [{ id: session }], total: 3, limit: 1, offset: 1 });
  const ofTwo = await ask("GET", "/v1/environments?api=gpu-dev,onmemos", user);
  expect(ofTwo).toMatchObject({ environments: [{ id: session }, { id: job }], total: 2 });
  for (const { links } of listed.environments as { links: { self: string } }[]) {
    expect((await world.request("GET", links.self, { key: user })).status).toBe(200);
  }
});

test("environments are listed by whether they have ended", async () => {
  const { world, user, ask } = await adminWorld();
  const gone = await submitJob(world, user);
  world.clock.advance(1);
  const lives = await submitJob(world, user);
  await world.request("POST", `/v1/jobs/${gone}/cancel`, { key: user });
  await world.advance(60_000);

  const living = await ask("GET", "/v1/environments?ended=false", user);
  const ended = await ask("GET", "/v1/environments?ended=true&api=gpu-dev", user);

  expect(living).toMatchObject({ environments: [{ id: lives, ended_at: null }], total: 1 });
  expect(ended).toMatchObject({ environments: [{ id: gone, phase: "cancelled" }], total: 1 });
});

test.each(["ended=maybe", "ended=", "api=nosuch", "api=dev8,nosuch", "api="])(
  "environments by %s are refused",
  async (query) => {
    const { world, user } = await adminWorld();

    expect((await world.request("GET", `/v1/environments?${query}`, { key: user })).status).toBe(400);
  },
);
