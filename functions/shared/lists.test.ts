import { expect, test } from "vitest";
import type { Item } from "#core/ports/table.ts";
import { putCopies, weighedTable } from "#tests/faults/weighed-table.ts";
import { newWorkspace, operator, plainInstance, plainSession, smallJob } from "#tests/fixtures/catalog-requests.ts";
import { developer, httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const LIVES = 2_000;

type Body = ReturnType<typeof JSON.parse>;
type Request = readonly [method: string, path: string, body?: object, headers?: Readonly<Record<string, string>>];

interface Kind {
  readonly create: (n: number) => Request;
  readonly idOf: (made: Body) => string;
  readonly end: (id: string) => Request;
}

/** How one of each dialect is made and ended; `stopped` is novita's too. */
const kinds = {
  "gpu-dev": {
    create: () => ["POST", "/v1/jobs/submit", smallJob],
    idOf: (made) => made.job_id,
    end: (id) => ["POST", `/v1/jobs/${id}/cancel`],
  },
  "session-manager": {
    create: () => ["POST", "/session/create", { user_id: "user@example.com" }],
    idOf: (made) => made.uuid,
    end: (id) => ["DELETE", `/session/${id}`],
  },
  onmemos: {
    create: (n) => ["POST", "/v1/sessions", plainSession, { "Idempotency-Key": `key ${n}` }],
    idOf: (made) => made.id,
    end: (id) => ["DELETE", `/v1/sessions/${id}`],
  },
  novita: {
    create: () => ["POST", "/api/instances", plainInstance],
    idOf: (made) => made.instanceId,
    end: (id) => ["DELETE", `/api/instances/${id}`],
  },
  stopped: {
    create: () => ["POST", "/api/instances", plainInstance],
    idOf: (made) => made.instanceId,
    end: (id) => ["POST", `/api/instances/${id}/stop`],
  },
  dev8: {
    create: (n) => ["POST", "/api/v1/environments", newWorkspace(`test-workspace-0000${n}`)],
    idOf: (made) => made.data.environment.id,
    end: (id) => ["DELETE", "/api/v1/environments", { ...newWorkspace(id), force: true }],
  },
} as const satisfies Record<string, Kind>;

/** Returns a world whose table measures what each request reads. */
async function weighedWorld(dialect: keyof typeof kinds) {
  const weight = { heads: 0, bytes: 0 };
  const world = await httpWorld({
    nodes: newNodes({ a10g: 2, "cpu-x86": 2, "cpu-shared": 2 }),
    callers: [operator],
    settings: { adminUsers: ["operator"] },
    wrap: (ports) => ({ ...ports, table: weighedTable(ports.table, weight) }),
  });
  const ask = async (...[method, path, body, headers = {}]: Request): Promise<Body> => {
    const key = await world.login(path.startsWith("/v1/admin/") ? operator : developer);
    Object.assign(weight, { heads: 0, bytes: 0 });
    const response = await world.request(method, path, { key, body, headers });
    expect([path, response.status < 300]).toEqual([path, true]);
    return response.json();
  };
  const during = async (...request: Request) => ({ body: await ask(...request), ...weight });
  const { create, idOf, end }: Kind = kinds[dialect];
  let made = 0;
  const make = async (): Promise<Item> => {
    made += 1;
    const id = idOf(await ask(...create(made)));
    await world.advance(30 * SECOND);
    return getHead(id);
  };
  const getHead = (id: string) => world.table.all().find(({ kind, sk }) => kind === "environment" && sk === id) as Item;
  const endOf = async ({ sk }: Item): Promise<Item> => {
    await ask(...end(sk));
    await world.advance(20 * MINUTE);
    return getHead(sk);
  };
  return { world, during, make, endOf };
}

/** Returns a world in which one owner has 2,000 ended environments and one that lives. */
async function longLife(dialect: keyof typeof kinds) {
  const fixture = await weighedWorld(dialect);
  const ended = await fixture.endOf(await fixture.make());
  expect(ended).toMatchObject({ end: { cleanLooks: 2 } });
  await putCopies(fixture.world.table, ended, LIVES - 1);
  await fixture.make();
  return fixture;
}

test.each([
  ["gpu-dev", "/v1/jobs?limit=1"],
  ["gpu-dev", "/v1/jobs?status=queued,preparing,active"],
  ["gpu-dev", "/v1/admin/jobs?user=developer&limit=1"],
  ["gpu-dev", "/v1/admin/jobs?user=developer&status=active"],
  ["session-manager", "/sessions"],
  ["onmemos", "/v1/sessions"],
  ["onmemos", "/v1/cloudrun/workspaces"],
  ["novita", "/api/instances"],
  ["novita", "/api/metrics"],
  ["novita", "/api/instances/auto-stop/stats"],
  ["dev8", "/api/v1/environments"],
] as const)(
  "%s GET %s reads one head if 2,000 environments of an owner have ended and one lives",
  async (dialect, path) => {
    const { during } = await longLife(dialect);

    const { heads, body } = await during("GET", path);

    expect(heads).toBe(1);
    const lists = Object.values(body.data ?? body).filter(Array.isArray);
    expect(lists.every(({ length }) => length === 1)).toBe(true);
  },
);

test("a stop by name searches only living instances", async () => {
  const { during } = await longLife("novita");

  const { heads } = await during("POST", "/api/instances/stop", { instanceName: plainInstance.name });

  // Found by its name, read for its state, and read to be changed.
  expect(heads).toBeLessThanOrEqual(3);
});

test("a failed session is not read after its time is over, although it is kept", async () => {
  const { world, during, make, endOf } = await weighedWorld("onmemos");
  const ended = await endOf(await make());
  const end = {
    ...(ended.end as object),
    outcome: { phase: "failed", reason: "Image not found", at: ended.createdAt },
  };
  await putCopies(world.table, { ...ended, phase: "failed", end } as Item, 200);

  const before = await during("GET", "/v1/sessions");
  await world.advance(24 * 60 * MINUTE);
  const after = await during("GET", "/v1/sessions");

  expect([before.heads, before.body.count]).toEqual([200, 200]);
  expect([after.heads, after.body.count]).toEqual([0, 0]);
});

test("a session with the longest time is listed until its end", async () => {
  const { world, during } = await weighedWorld("onmemos");
  const { expires_at } = (await during("POST", "/v1/sessions", { ...plainSession, ttl_minutes: 1_440 })).body;
  const listed = async () => (await during("GET", "/v1/sessions")).body.count;

  await world.advance(Date.parse(expires_at) - world.clock.now() - MINUTE);
  const before = await listed();
  await world.advance(MINUTE + SECOND);

  expect([before, await listed()]).toEqual([1, 0]);
});

test("a repeated create whose answer was lost finds its record without reading others", async () => {
  const { world, during } = await longLife("onmemos");
  const { create } = kinds.onmemos;
  const [, note] = world.table.all().filter(({ kind }) => kind === "idempotency");
  const [living] = (await during("GET", "/v1/sessions")).body.sessions;
  await world.table.put({ ...note, state: "open", reply: null } as Item);

  const again = await during(...create(2));

  expect(again.body.id).toBe(living.id);
  // One read by uid, one at the new key, and polls until it runs.
  expect(again.heads).toBeLessThanOrEqual(4);
});

test.each([
  ["gpu-dev", "/v1/jobs", "jobs", 1_000],
  ["gpu-dev", "/v1/admin/jobs?user=developer", "jobs", 1_000],
  ["stopped", "/api/instances", "instances", LIVES],
] as const)(
  "%s GET %s reads one head for limit=1, and fewer than for limit=500",
  async (dialect, path, list, total) => {
    const { world, during, make, endOf } = await weighedWorld(dialect);
    await putCopies(world.table, await endOf(await make()), LIVES - 1);
    const limited = `${path}${path.includes("?") ? "&" : "?"}limit=`;

    const [entry, many] = [await during("GET", `${limited}1`), await during("GET", `${limited}500`)];

    expect([entry.heads, entry.body[list].length, entry.body.total]).toEqual([1, 1, total]);
    expect([many.heads, many.body[list].length, many.body.total]).toEqual([500, 500, total]);
    expect(entry.bytes).toBeLessThan(many.bytes / 2);
  },
);
