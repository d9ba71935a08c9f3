import { expect, test } from "vitest";
import { pauseAdmission } from "#core/pools/admission/admission.ts";
import { newWorkspace, plainInstance, plainJob, plainSession } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const text = (noun: string) => `You have 2 ${noun}s waiting, at most 2 may wait`;

/** The answer of each dialect to a third create, if a user may have two waiting. */
const refusals = [
  {
    dialect: "gpu-dev",
    path: "/v1/jobs/submit",
    body: () => plainJob,
    status: 400,
    answer: { detail: text("job") },
  },
  {
    dialect: "session-manager",
    path: "/session/create",
    body: () => ({ user_id: "user@example.com" }),
    status: 409,
    answer: { error: text("session") },
  },
  {
    dialect: "onmemos",
    path: "/v1/sessions",
    body: () => plainSession,
    status: 409,
    answer: { detail: text("workspace") },
  },
  {
    dialect: "onmemos",
    path: "/v1/cloudrun/workspaces",
    body: () => plainSession,
    status: 409,
    answer: { detail: text("workspace") },
  },
  {
    dialect: "novita",
    path: "/api/instances",
    body: (n: number) => ({ ...plainInstance, name: `inst-${n}` }),
    status: 409,
    answer: { error: expect.objectContaining({ code: "CONFLICT", message: text("instance") }) },
  },
  {
    dialect: "dev8",
    path: "/api/v1/environments",
    body: (n: number) => newWorkspace(`workspace-${n}`),
    status: 409,
    answer: { success: false, error: "Conflict", message: text("workspace"), code: "ERR_409" },
  },
];

test.each(refusals)(
  "$dialect refuses a create above the limit of waiting environments, by POST $path",
  async (expected) => {
    const { path, body, status, answer } = expected;
    const world = await httpWorld({ nodes: [], settings: { maxWaitingPerUser: 2 } });
    const key = await world.login();
    const create = (n: number, by = key) => world.request("POST", path, { key: by, body: body(n) });
    for (const n of [1, 2]) expect((await create(n)).status).toBeLessThan(300);
    const before = world.table.all().length;

    const refused = await create(3);

    expect(refused.status).toBe(status);
    expect(await refused.json()).toEqual(answer);
    expect(world.table.all()).toHaveLength(before);
    expect((await create(4, await world.login(second))).status).toBeLessThan(300);
  },
);

test("a create above the limit may be repeated under its Idempotency-Key once there is room", async () => {
  const world = await httpWorld({ nodes: [], settings: { maxWaitingPerUser: 1 } });
  const key = await world.login();
  const submit = (headers = {}) => world.request("POST", "/v1/jobs/submit", { key, body: plainJob, headers });
  const first = (await (await submit()).json()) as { job_id: string };
  const repeated = { "Idempotency-Key": "third" };
  const refused = await submit(repeated);
  await world.request("POST", `/v1/jobs/${first.job_id}/cancel`, { key });
  await world.advance(5_000);

  const taken = await submit(repeated);
  const again = await submit(repeated);

  expect([refused.status, taken.status, again.status]).toEqual([400, 200, 200]);
  expect(await again.json()).toEqual(await taken.json());
});

/** The answer of each dialect to the start of a stopped environment while two others wait. */
const starts = [
  {
    dialect: "session-manager",
    path: "/session/create",
    body: () => ({ user_id: "user@example.com" }),
    stop: "/session/{id}/sleep",
    start: "/session/{id}/wake",
    answer: { error: text("session") },
  },
  {
    dialect: "novita",
    path: "/api/instances",
    body: (n: number) => ({ ...plainInstance, name: `inst-${n}` }),
    stop: "/api/instances/{id}/stop",
    start: "/api/instances/{id}/start",
    answer: { error: expect.objectContaining({ code: "CONFLICT", message: text("instance") }) },
  },
  {
    dialect: "dev8",
    path: "/api/v1/environments",
    body: (n: number) => newWorkspace(`workspace-${n}`),
    stop: "/api/v1/environments/stop",
    start: "/api/v1/environments/start",
    answer: { success: false, error: "Conflict", message: text("workspace"), code: "ERR_409" },
  },
];

test.each(starts)(
  "$dialect refuses a start above the limit of waiting environments",
  async ({ path, body, stop, start, answer }) => {
    const nodes = newNodes({ "cpu-shared": 1, a10g: 1 });
    const world = await httpWorld({ nodes, settings: { maxWaitingPerUser: 2 } });
    const key = await world.login();
    const ask = (at: string, sent?: object) => world.request("POST", at, { key, body: sent });
    const created = (await (await ask(path, body(1))).json()) as { uuid?: string; instanceId?: string };
    const id = created.uuid ?? created.instanceId ?? "";
    const named = path.includes("environments") ? body(1) : undefined;
    await world.advance(60_000);
    expect((await ask(stop.replace("{id}", id), named)).status).toBeLessThan(300);
    await world.advance(60_000);
    await pauseAdmission(world.ctx, true);
    for (const n of [2, 3]) await ask(path, body(n));

    const refused = await ask(start.replace("{id}", id), named);

    expect([refused.status, await refused.json()]).toEqual([409, answer]);
    await pauseAdmission(world.ctx, false);
    await world.advance(60_000);
    expect((await ask(start.replace("{id}", id), named)).status).toBeLessThan(300);
  },
);
