import { expect, test } from "vitest";
import { compareOrphans } from "#core/admin/orphans.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { diskKey, environmentKey, keyText } from "#core/store/keys.ts";
import { leftoverRun } from "#tests/faults/leftover-run.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { callerNamed, developer, type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const nobody = "019bdcc3-5b00-7000-8000-0123456789ab";
const operations = [
  ["GET", "/v1/admin/jobs"],
  ["POST", `/v1/admin/jobs/${nobody}/cancel`],
  ["POST", "/v1/admin/users/second/disable"],
  ["POST", "/v1/admin/users/second/enable"],
  ["POST", "/v1/admin/pools/h100/drain"],
  ["POST", "/v1/admin/pools/h100/undrain"],
  ["POST", "/v1/admin/admission/pause"],
  ["POST", "/v1/admin/admission/resume"],
  ["POST", "/v1/admin/nodes/h100-1/gone"],
  ["POST", "/v1/admin/nodes/h100-1/back"],
  ["GET", "/v1/admin/nodes"],
  ["GET", "/v1/admin/orphans"],
  ["POST", "/v1/admin/records/end"],
  ["GET", "/v1/admin/state"],
  ["GET", "/v1/admin/pools"],
  ["GET", "/v1/admin/users"],
  ["GET", "/v1/admin/webhooks/deliveries"],
  ["GET", "/v1/admin/audit"],
] as const;

/** A world whose operator is `developer`, with its key and that of `second`, an ordinary user. */
async function adminWorld() {
  const world = await httpWorld({ nodes: newNodes({ h100: 2 }), settings: { adminUsers: ["developer"] } });
  const [admin, user] = [await world.login(developer), await world.login(second)];
  const ask = async (method: string, path: string, key: string, body?: unknown) => {
    const response = await world.request(method, path, { key, ...(body === undefined ? {} : { body }) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown>, response };
  };
  return { world, admin, user, ask };
}

async function getAudit(world: HttpWorld, admin: string): Promise<Record<string, unknown>[]> {
  const response = await world.request("GET", "/v1/admin/audit?limit=500", { key: admin });
  return ((await response.json()) as { entries: Record<string, unknown>[] }).entries;
}

/** Returns the uid of the only environment. */
async function formatUid(world: HttpWorld): Promise<string> {
  const [run] = await world.compute.listRuns();
  if (!run) throw new Error("Nothing runs");
  return run.uid;
}

test("operator paths are unknown to other users, whose requests have no effect and no audit entry", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const unknown = await ask("GET", "/v1/admin/no-such-thing", user);

  for (const [method, path] of operations) {
    const { status, body } = await ask(method, path, user);
    expect([path, status, body]).toEqual([path, 404, unknown.body]);
  }
  const bad = await ask("POST", "/v1/admin/pools/h100/drain", user, "{");

  expect(bad.status).toBe(404);
  expect(unknown).toMatchObject({ status: 404, body: { detail: "Not Found" } });
  expect(await getAudit(world, admin)).toEqual([]);
});

test("this test covers all operator endpoints of the catalog", async () => {
  const { world } = await adminWorld();

  const routes = world.endpoints.filter(({ path }) => path.startsWith("/v1/admin/"));

  expect(routes.every(({ admin }) => admin)).toBe(true);
  expect(routes.length).toBe(operations.length);
  expect(world.endpoints.filter(({ admin }) => admin)).toHaveLength(operations.length);
});

test("an operator path without a key is 401, like any other", async () => {
  const { world } = await adminWorld();

  for (const [method, path] of operations) expect((await world.request(method, path)).status).toBe(401);
});

test("a login with the operator's role is an operator, and the answer to others does not name that role", async () => {
  const arn = (role: string) => `arn:aws:sts::000000000000:assumed-role/${role}/carol`;
  const carol = callerNamed("carol", { arn: arn("GpuOperators") });
  const otherCaller = callerNamed("mallory", { arn: arn("Other") });
  const world = await httpWorld({ settings: { adminRoles: ["GpuOperators"] }, callers: [carol, otherCaller] });

  const key = await world.login(carol);
  const refused = await world.login(otherCaller).catch((error: unknown) => String(error));

  expect((await world.request("GET", "/v1/admin/audit", { key })).status).toBe(200);
  expect((await world.request("GET", "/v1/admin/audit", { key: await world.login(developer) })).status).toBe(404);
  expect(refused).toContain("Required role: SSOCloudDevGpuReservation, got: Other");
});

test("the operator lists all users' jobs by status and user, without credentials to enter them", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const first = await submitJob(world, user, { command: "secret-command", env_vars: { TOKEN: "hidden-value" } });
  await world.advance(1000);
  const ownJob = await submitJob(world, admin);
  world.clock.advance(1);
  const waits = await submitJob(world, user, { gpu_count: 16 });
  await world.advance(1000);

  const all = await ask("GET", "/v1/admin/jobs", admin);
  const queued = await ask("GET", "/v1/admin/jobs?status=queued", admin);
  const several = await ask("GET", "/v1/admin/jobs?status=queued,preparing", admin);
  const ofSecond = await ask("GET", "/v1/admin/jobs?user=second&limit=1&offset=1", admin);

  expect(all.body).toMatchObject({
    total: 3,
    jobs: [
      { job_id: waits, user_id: "second", status: "queued", queue_position: 1 },
      { job_id: ownJob, user_id: "developer", status: "active" },
      { job_id: first, user_id: "second", status: "active" },
    ],
  });
  expect(queued.body).toMatchObject({ total: 1, jobs: [{ job_id: waits }] });
  expect(several.body).toEqual(queued.body);
  expect(ofSecond.body).toMatchObject({ total: 2, limit: 1, offset: 1, jobs: [{ job_id: first }] });
  for (const word of ["secret-command", "hidden-value", "jupyter_token", "jupyter_url", "ssh_command"]) {
    expect(JSON.stringify(all.body)).not.toContain(word);
  }
});

test("a job that ended a minute ago is not listed among the unfinished ones", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user);
  await world.request("POST", `/v1/jobs/${job}/cancel`, { key: user });
  await world.advance(60_000);

  expect((await ask("GET", "/v1/admin/jobs?user=second", admin)).body).toMatchObject({
    jobs: [{ job_id: job, status: "cancelled" }],
  });
  expect((await ask("GET", "/v1/admin/jobs", admin)).body).toMatchObject({ total: 0, jobs: [] });
});

test("finished jobs are found by their user, who must exist", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user);
  await world.request("POST", `/v1/jobs/${job}/cancel`, { key: user });
  await world.advance(8 * 24 * 3_600_000);
  const later = await world.login(developer);

  const all = await ask("GET", "/v1/admin/jobs", later);
  const ofSecond = await ask("GET", "/v1/admin/jobs?user=second", later);
  const ofNobody = await ask("GET", "/v1/admin/jobs?user=nobody", later);

  expect(admin).not.toBe(later);
  expect(all.body).toMatchObject({ total: 0, jobs: [] });
  expect(ofSecond.body).toMatchObject({ total: 1, jobs: [{ job_id: job, status: "cancelled" }] });
  expect(ofNobody).toMatchObject({ status: 404, body: { detail: "User 'nobody' not found" } });
});

test("invalid filters and pages are refused before an audit entry is written", async () => {
  const { world, admin, ask } = await adminWorld();

  for (const query of ["status=done", "status=queued,done", "limit=0", "limit=501", "offset=-1", "user="]) {
    expect((await ask("GET", `/v1/admin/jobs?${query}`, admin)).status, query).toBe(400);
  }
  expect((await ask("GET", "/v1/admin/audit?limit=501", admin)).status).toBe(400);
  expect(await getAudit(world, admin)).toEqual([]);
});

test("the operator cancels any user's job, and its owner sees who cancelled it", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user);
  await world.advance(1000);

  const cancelled = await ask("POST", `/v1/admin/jobs/${job}/cancel`, admin);
  const again = await ask("POST", `/v1/admin/jobs/${job}/cancel`, admin, { user: "second" });
  const seen = await ask("GET", `/v1/jobs/${job}`, user);

  expect(cancelled).toMatchObject({ status: 200, body: { job_id: job, action: "cancel", status: "requested" } });
  expect(again.status).toBe(200);
  expect(seen.body).toMatchObject({ status: "cancelled", status_reason: "Cancelled by the operator" });
});

test("a job that is unknown, of another user or ended is refused like a request of its owner", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user, { duration_hours: 0.083 });
  const wrongOwner = await ask("POST", `/v1/admin/jobs/${job}/cancel`, admin, { user: "developer" });
  await world.advance(3_600_000);

  const unknown = await ask("POST", `/v1/admin/jobs/${nobody}/cancel`, admin);
  const malformed = await ask("POST", "/v1/admin/jobs/x/cancel", admin);
  const ended = await ask("POST", `/v1/admin/jobs/${job}/cancel`, admin, { user: "second" });

  expect(wrongOwner).toMatchObject({ status: 404, body: { detail: `Job ${job} not found` } });
  expect(unknown).toMatchObject({ status: 404, body: { detail: `Job ${nobody} not found` } });
  expect(malformed).toMatchObject({ status: 404, body: { detail: "Job x not found" } });
  expect(ended).toMatchObject({ status: 409, body: { detail: `Cannot cancel job ${job} in status expired` } });
});

test("a unique prefix of an id selects a job of all or of one user, and an ambiguous one is 409", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const [ofSecond, ofDeveloper, later] = ["aaaaaaaa-1", "aaaaaaaa-2", "aaaaaaaa-3"].map(
    (beginning) => `${beginning}b00-4c1a-8000-0123456789ab`,
  ) as [string, string, string];
  await submitJob(world, user, { env_vars: { RESERVATION_ID: ofSecond } });
  await submitJob(world, admin, { env_vars: { RESERVATION_ID: ofDeveloper } });
  const cancel = (id: string, body?: unknown) => ask("POST", `/v1/admin/jobs/${id}/cancel`, admin, body);

  const ambiguous = await cancel("aaaaaaaa");
  const short = await cancel("aaaa");
  const [named, longer] = [await cancel("aaaaaaaa", { user: "second" }), await cancel("AAAAAAAA-2")];
  await submitJob(world, user, { env_vars: { RESERVATION_ID: later } });
  const ofOneUser = await cancel("aaaaaaaa", { user: "second" });
  const unknown = await cancel("bbbbbbbb");

  expect(ambiguous).toMatchObject({ status: 409, body: { detail: "Job id 'aaaaaaaa' is ambiguous" } });
  expect(short).toMatchObject({ status: 409, body: { detail: "Job id 'aaaa' is ambiguous" } });
  expect(named).toMatchObject({ status: 200, body: { job_id: ofSecond } });
  expect(longer).toMatchObject({ status: 200, body: { job_id: ofDeveloper } });
  expect(ofOneUser).toMatchObject({ status: 409, body: { detail: "Job id 'aaaaaaaa' is ambiguous" } });
  expect(unknown).toMatchObject({ status: 404, body: { detail: "Job bbbbbbbb not found" } });
  expect((await getAudit(world, admin)).map(({ target, reason }) => [target, reason])).toEqual([
    ["bbbbbbbb", "Job bbbbbbbb not found"],
    ["aaaaaaaa", "Job id 'aaaaaaaa' is ambiguous"],
    ["AAAAAAAA-2", `Job ${ofDeveloper}`],
    ["aaaaaaaa", `Job ${ofSecond}`],
    ["aaaa", "Job id 'aaaa' is ambiguous"],
    ["aaaaaaaa", "Job id 'aaaaaaaa' is ambiguous"],
  ]);
});

test("the operator must name the owner of an id that two users have", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user);
  const [owner, otherName] = ["second", "developer"].map((name) => {
    const item = world.table.all().find((item) => item.kind === "user" && item.username === name);
    return String(item?.uid);
  });
  const mine = await world.table.get(environmentKey(owner ?? "", "gpu-dev", job));
  const copy = {
    ...mine,
    ...environmentKey(otherName ?? "", "gpu-dev", job),
    owner: otherName,
    writers: ["w1"],
    uid: "e".repeat(32),
  };
  await world.table.put(copy, { ifWriter: null });

  const unclear = await ask("POST", `/v1/admin/jobs/${job}/cancel`, admin);
  const clear = await ask("POST", `/v1/admin/jobs/${job}/cancel`, admin, { user: "second" });

  expect(unclear).toMatchObject({ status: 409, body: { detail: `Several users have a job ${job}: name the user` } });
  expect(clear.status).toBe(200);
  expect(await world.table.get(copy)).toMatchObject({ end: { outcome: null } });
});

test("a disabled user is locked out within 5 s until re-enabled, and the running jobs continue", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user);
  await world.advance(1000);

  const disabled = await ask("POST", "/v1/admin/users/second/disable", admin);
  await world.advance(5_000);
  const shutOut = await ask("GET", `/v1/jobs/${job}`, user);
  const stillThere = await ask("GET", "/v1/admin/jobs", admin);
  const enabled = await ask("POST", "/v1/admin/users/second/enable", admin);
  await world.advance(5_000);

  expect(disabled).toMatchObject({ status: 200, body: { username: "second", disabled: true } });
  expect(shutOut).toMatchObject({ status: 403, body: { detail: "User account is disabled" } });
  expect(stillThere.body).toMatchObject({ jobs: [{ job_id: job, status: "active" }] });
  expect(enabled).toMatchObject({ status: 200, body: { username: "second", disabled: false } });
  expect((await ask("GET", `/v1/jobs/${job}`, user)).status).toBe(200);
});

test("an unknown user is 404, and operators cannot disable themselves", async () => {
  const { admin, ask } = await adminWorld();

  const unknown = await ask("POST", "/v1/admin/users/nobody/disable", admin);
  const ownValue = await ask("POST", "/v1/admin/users/developer/disable", admin);
  const hostile = await ask("POST", `/v1/admin/users/${"x".repeat(3000)}/disable`, admin);

  expect(unknown).toMatchObject({ status: 404, body: { detail: "User 'nobody' not found" } });
  expect(ownValue).toMatchObject({ status: 409, body: { detail: "You cannot disable yourself" } });
  expect(hostile.status).toBe(404);
});

test("a drained type and a pause appear in availability and in the reason of waiting jobs", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const drained = await ask("POST", "/v1/admin/pools/h100/drain", admin);
  const job = await submitJob(world, user);
  await world.advance(5000);
  const availability = await ask("GET", "/v1/gpu/availability", user);
  const waiting = await ask("GET", `/v1/jobs/${job}`, user);

  const paused = await ask("POST", "/v1/admin/admission/pause", admin);
  const undrained = await ask("POST", "/v1/admin/pools/h100/undrain", admin);
  await world.advance(5000);
  const stillWaiting = await ask("GET", `/v1/jobs/${job}`, user);
  const resumed = await ask("POST", "/v1/admin/admission/resume", admin);
  await world.advance(5000);

  expect(drained.body).toEqual({ paused: false, drained_gpu_types: ["h100"], drained_parts: [], planned_drains: [] });
  expect(availability.body).toMatchObject({
    availability: { h100: { total: 16, available: 0, in_use: 0, queued: 8 } },
  });
  expect(waiting.body).toMatchObject({
    status: "queued",
    queue_position: 1,
    estimated_start_time: null,
    status_reason: "No new H100 jobs are started at the moment: drained by the operator - position #1",
  });
  expect(paused.body).toEqual({ paused: true, drained_gpu_types: ["h100"], drained_parts: [], planned_drains: [] });
  expect(undrained.body).toEqual({ paused: true, drained_gpu_types: [], drained_parts: [], planned_drains: [] });
  expect(stillWaiting.body.status_reason).toBe(
    "No new H100 jobs are started at the moment: paused by the operator - position #1",
  );
  expect(resumed.body).toEqual({ paused: false, drained_gpu_types: [], drained_parts: [], planned_drains: [] });
  expect((await ask("GET", `/v1/jobs/${job}`, user)).body.status).toBe("active");
});

test("a GPU type that does not exist cannot be drained", async () => {
  const { admin, ask } = await adminWorld();

  const drained = await ask("POST", "/v1/admin/pools/h1000/drain", admin);

  expect(drained).toMatchObject({ status: 404, body: { detail: "GPU type 'h1000' not found" } });
});

test("a drained machine and zone start nothing, and show in the state, the pools and the audit until undrained", async () => {
  const { world, admin, user, ask } = await adminWorld();
  await refreshCapacity(world.ctx);
  const since = `${new Date(world.clock.now()).toISOString().slice(0, 19)}Z`;
  const by = "developer";
  const onNode = await ask("POST", "/v1/admin/pools/h100/drain", admin, { node: "h100-1", reason: "Its fan is loud" });
  const inZone = await ask("POST", "/v1/admin/pools/h100/drain", admin, { zone: "zone-a" });
  const job = await submitJob(world, user);
  await world.advance(5000);
  const waiting = await ask("GET", `/v1/jobs/${job}`, user);
  const state = await ask("GET", "/v1/admin/state", admin);
  const { body: listed } = await ask("GET", "/v1/admin/pools?gpu_type=h100", admin);

  await ask("POST", "/v1/admin/pools/h100/undrain", admin, { zone: "zone-a" });
  await world.advance(5000);
  const runs = await ask("GET", `/v1/jobs/${job}`, user);
  const left = await ask("POST", "/v1/admin/pools/h100/undrain", admin);
  const open = await ask("POST", "/v1/admin/pools/h100/undrain", admin, { node: "h100-1" });

  const [node, zone] = [
    { gpu_type: "h100", zone: null, node_group: null, node: "h100-1" },
    { gpu_type: "h100", zone: "zone-a", node_group: null, node: null },
  ];
  expect(onNode.body).toEqual({ paused: false, drained_gpu_types: [], drained_parts: [node], planned_drains: [] });
  expect(inZone.body.drained_parts).toEqual([node, zone]);
  expect(waiting.body).toMatchObject({
    status: "queued",
    estimated_start_time: null,
    status_reason: "Need 8 H100 GPUs, but machines where it could start are drained or have ended - position #1",
  });
  expect(state.body.drained_parts).toEqual([
    { ...node, since, by, reason: "Its fan is loud" },
    { ...zone, since, by, reason: null },
  ]);
  expect(listed.pools).toMatchObject([
    {
      free: 0,
      drained: null,
      drained_parts: [
        { zone: null, node_group: null, node: "h100-1", since, by, reason: "Its fan is loud" },
        { zone: "zone-a", node_group: null, node: null, since, by, reason: null },
      ],
      nodes: [
        { node: "h100-1", status: "ready", drained: true },
        { node: "h100-2", status: "ready", drained: true },
      ],
    },
  ]);
  expect(runs.body.status).toBe("active");
  // The drain of a machine outlasts those of its zone and its type.
  expect(left.body.drained_parts).toEqual([node]);
  expect(open.body.drained_parts).toEqual([]);
  const targets = (await getAudit(world, admin)).filter(({ action }) => String(action).endsWith("drain_pool"));
  expect(targets.map(({ target }) => target)).toEqual([
    "h100 node h100-1",
    "h100",
    "h100 zone zone-a",
    "h100 zone zone-a",
    "h100 node h100-1",
  ]);
});

test("a planned drain shows its time, operator and reason until it is dropped, and refuses no shorter job", async () => {
  const { world, admin, user, ask } = await adminWorld();
  await refreshCapacity(world.ctx);
  const inHours = (hours: number) => `${new Date(world.clock.now() + hours * 3_600_000).toISOString().slice(0, 19)}Z`;
  const [since, soon, late] = [inHours(0), inHours(0.25), inHours(30)];
  const drain = (body: object) => ask("POST", "/v1/admin/pools/h100/drain", admin, body);

  await drain({ zone: "zone-a", at: late, reason: "New switch" });
  const planned = await drain({ at: soon.replace("Z", "+00:00") });
  const job = await submitJob(world, user);
  await world.advance(5000);
  const waiting = await ask("GET", `/v1/jobs/${job}`, user);
  const state = await ask("GET", "/v1/admin/state", admin);
  const { body: listed } = await ask("GET", "/v1/admin/pools", admin);
  const undrained = await ask("POST", "/v1/admin/pools/h100/undrain", admin);
  await world.advance(5000);

  const [type, zone] = [
    { zone: null, node_group: null, node: null, at: soon },
    { zone: "zone-a", node_group: null, node: null, at: late },
  ];
  const [noteOfType, noteOfZone] = [
    { since, by: "developer", reason: null, by_provider: false },
    { since, by: "developer", reason: "New switch", by_provider: false },
  ];
  const ofH100 = (...plans: object[]) => plans.map((plan) => ({ gpu_type: "h100", ...plan }));
  expect(planned.body).toEqual({
    paused: false,
    drained_gpu_types: [],
    drained_parts: [],
    planned_drains: ofH100(zone, type),
  });
  expect(waiting.body).toMatchObject({
    status: "queued",
    estimated_start_time: null,
    status_reason: expect.stringMatching(
      /^Need 8 H100 GPUs, but the job would still run when H100 is drained at 20\d\d-\d\d-\d\d \d\d:\d\d UTC - position #1$/,
    ),
  });
  expect(state.body.planned_drains).toEqual(ofH100({ ...zone, ...noteOfZone }, { ...type, ...noteOfType }));
  expect(listed.pools).toMatchObject([
    {
      drained: null,
      drained_parts: [],
      planned_drains: [
        { ...zone, ...noteOfZone },
        { ...type, ...noteOfType },
      ],
      nodes: [{ drained: false }, { drained: false }],
    },
  ]);
  expect(undrained.body.planned_drains).toEqual(ofH100(zone));
  expect((await ask("GET", `/v1/jobs/${job}`, user)).body.status).toBe("active");
  const drains = (await getAudit(world, admin)).filter(({ action }) => action === "drain_pool");
  expect(drains.map(({ target }) => target)).toEqual([`h100 at ${soon}`, `h100 zone zone-a at ${late}`]);
  for (const at of ["2026-01-20T18:30:00", "tomorrow", inHours(-1), inHours(91 * 24)])
    expect((await drain({ at })).status, at).toBe(400);
});

test("the end of a node group says that it is its provider's, which no operator can drop", async () => {
  const { world, admin, ask } = await adminWorld();
  const endsAt = world.clock.now() + 3_600_000;
  const group = { name: "block", instanceTypes: ["p5.48xlarge"], zones: ["zone-a"], mostNodes: 1, endsAt };
  world.machineGroups.set([{ ...group, isActive: true, admitsRuns: true }]);
  await world.advance(6 * 60_000);

  const undrained = await ask("POST", "/v1/admin/pools/h100/undrain", admin, { node_group: "block" });
  const state = await ask("GET", "/v1/admin/state", admin);
  const listed = await ask("GET", "/v1/admin/pools", admin);

  const end = { node_group: "block", by: "provider", by_provider: true };
  expect(undrained.status).toBe(404);
  expect(state.body.planned_drains).toMatchObject([end]);
  expect(listed.body.pools).toMatchObject([{ gpu_type: "h100", planned_drains: [end] }]);
});

test("an undrain of a part that is repeated with its key gets the first answer", async () => {
  const { world, admin } = await adminWorld();
  await refreshCapacity(world.ctx);
  const undrain = async (key?: string) => {
    const headers = key === undefined ? {} : { "Idempotency-Key": key };
    const options = { key: admin, body: { node: "h100-1" }, headers };
    const response = await world.request("POST", "/v1/admin/pools/h100/undrain", options);
    return { status: response.status, body: await response.json() };
  };
  await world.request("POST", "/v1/admin/pools/h100/drain", { key: admin, body: { node: "h100-1" } });

  const [first, again, other] = [await undrain("one"), await undrain("one"), await undrain()];

  expect(first).toMatchObject({ status: 200, body: { drained_parts: [] } });
  expect(again).toEqual(first);
  expect(other).toMatchObject({
    status: 404,
    body: { detail: "Node 'h100-1' of type h100 is not drained, and no drain of it is planned" },
  });
});

test("a drain of a part names one machine or zone that the type has", async () => {
  const { world, admin, ask } = await adminWorld();
  await refreshCapacity(world.ctx);
  const drain = (body: object) => ask("POST", "/v1/admin/pools/h100/drain", admin, body);

  expect(await drain({ node: "h100-9" })).toMatchObject({
    status: 404,
    body: { detail: "Node 'h100-9' of type h100 not found" },
  });
  expect(await drain({ zone: "zone-x" })).toMatchObject({
    status: 404,
    body: { detail: "Zone 'zone-x' of type h100 not found" },
  });
  expect((await drain({ node_group: "p5-a" })).body.detail).toBe("Node group 'p5-a' of type h100 not found");
  const both = await drain({ node: "h100-1", zone: "zone-a" });
  expect([both.status, JSON.stringify(both.body)]).toEqual([
    400,
    expect.stringContaining("Give only one of zone, node_group and node"),
  ]);
  for (const body of [
    { node: "" },
    { node: 7 },
    { zone: "z".repeat(64) },
    { zone: "us east" },
    { node_group: "" },
    { node_group: "p5-a-" },
    { node_group: "g".repeat(64) },
    { node: "n".repeat(254) },
  ])
    expect((await drain(body)).status).toBe(400);
  expect((await ask("POST", "/v1/admin/pools/h100/undrain", admin, { node: 7 })).status).toBe(400);
});

test("orphans are listed in both directions, as of the latest comparison", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const before = await ask("GET", "/v1/admin/orphans", admin);
  await submitJob(world, user);
  await world.advance(120_000);
  const [lost] = await world.compute.listRuns();
  if (!lost) throw new Error("The job does not run");
  await world.compute.remove(lost.uid, lost.run, { graceSeconds: 0, force: true });
  const key = keyText(environmentKey("0".repeat(32), "gpu-dev", nobody));
  await world.compute.apply(leftoverRun({ uid: "1".repeat(32), run: 1, key, node: "h100-2", now: world.clock.now() }));

  const { id: volume } = await world.volumes.createVolume({
    token: "t",
    sizeGb: 1,
    zone: "z",
    snapshotId: undefined,
    key: "owner#x#disk|y",
  });
  const tags = { name: "data", disk: "y", attempt: "a-r1-1", key: "owner#x#disk|y" };
  const { id: snapshot } = await world.volumes.createSnapshot(volume, tags);
  await compareOrphans(world.ctx);
  const after = await ask("GET", "/v1/admin/orphans", admin);

  expect(before.body).toMatchObject({ checked_at: null, run_count: 0, runs: [], record_count: 0, records: [] });
  expect(before.body).toMatchObject({ volume_count: 0, volumes: [], snapshot_count: 0, snapshots: [] });
  expect(after.body).toMatchObject({
    volume_count: 1,
    volumes: [{ record: "owner#x#disk|y", volume, why: "it has no record", sightings: 1 }],
    snapshot_count: 1,
    snapshots: [{ record: "owner#x#disk|y", snapshot, why: "it has no record", sightings: 1 }],
  });
  expect(after.body).toMatchObject({
    run_count: 1,
    runs: [{ record: key, uid: "1".repeat(32), run: 1, why: "it has no record", gpu_count: 8, sightings: 1 }],
    removed_count: 0,
    removed: [],
    record_count: 1,
    records: [{ record: lost.key, uid: lost.uid, run: 1, why: "it is active but has no run" }],
  });
  expect(world.compute.isLive("1".repeat(32), 1)).toBe(true);

  world.clock.advance(600_000);
  await compareOrphans(world.ctx);
  const { body } = await ask("GET", "/v1/admin/orphans", admin);

  expect(body).toMatchObject({ run_count: 0, runs: [], removed_count: 1, orphan_gb_hours: 0.167 });
  const removed_at = expect.stringMatching(/^2026-.*Z$/);
  expect(body.removed).toEqual([{ record: key, uid: "1".repeat(32), run: 1, why: "it has no record", removed_at }]);
  expect(world.compute.isLive("1".repeat(32), 1)).toBe(false);
});

test("a machine that the operator declares dead loses its job and starts no other", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const job = await submitJob(world, user);
  await world.advance(5000);
  const running = await ask("GET", `/v1/jobs/${job}`, user);
  const [node] = (await world.compute.observe(await formatUid(world), 1))?.nodes ?? [];

  const gone = await ask("POST", `/v1/admin/nodes/${node?.name}/gone`, admin);
  const again = await ask("POST", `/v1/admin/nodes/${node?.name}/gone`, admin);
  await world.advance(60_000);
  const lost = await ask("GET", `/v1/jobs/${job}`, user);
  const availability = await ask("GET", "/v1/gpu/availability", user);

  expect(running.body.status).toBe("active");
  expect(gone).toMatchObject({ status: 200, body: { node: node?.name, uid: node?.uid, status: "gone" } });
  expect([again.status, again.body]).toEqual([200, gone.body]);
  expect(lost.body).toMatchObject({ status: "failed", status_reason: `Its machine was lost: ${node?.name}` });
  expect(availability.body).toMatchObject({ availability: { h100: { total: 8, available: 8 } } });
});

test("a machine is listed as gone until the operator revokes its declared death, and then starts jobs again", async () => {
  const { world, admin, user, ask } = await adminWorld();
  await ask("POST", "/v1/admin/nodes/h100-1/gone", admin);
  const gone = await ask("GET", "/v1/admin/nodes?limit=1", admin);

  const back = await ask("POST", "/v1/admin/nodes/h100-1/back", admin);
  const again = await ask("POST", "/v1/admin/nodes/h100-1/back", admin);
  await refreshCapacity(world.ctx);
  await world.advance(60_000);
  const after = await ask("GET", "/v1/admin/nodes", admin);
  const availability = await ask("GET", "/v1/gpu/availability", user);
  const audit = await getAudit(world, admin);

  const machine = { node: "h100-1", uid: "node-h100-1", gpu_type: "h100", zone: "zone-a", units: 8, units_in_use: 0 };
  expect(gone.body).toEqual({
    nodes: [{ ...machine, status: "gone", gone_until: expect.stringMatching(/Z$/) }],
    total: 2,
    limit: 1,
    offset: 0,
  });
  expect(back).toMatchObject({ status: 200, body: { node: "h100-1", uid: "node-h100-1", status: "back" } });
  expect([again.status, again.body]).toEqual([200, back.body]);
  expect(after.body.nodes).toMatchObject([{ ...machine, status: "ready", gone_until: null }, { node: "h100-2" }]);
  expect(availability.body).toMatchObject({ availability: { h100: { total: 16, available: 16 } } });
  expect(audit.map(({ action }) => action)).toEqual(expect.arrayContaining(["return_node", "list_nodes"]));
});

test("an unknown machine cannot be declared dead", async () => {
  const { world, admin, ask } = await adminWorld();

  const unknown = await ask("POST", "/v1/admin/nodes/h100-3/gone", admin);
  const hostile = await ask("POST", `/v1/admin/nodes/${"x".repeat(3000)}/gone`, admin);

  expect(unknown).toMatchObject({ status: 404, body: { detail: "Node 'h100-3' not found" } });
  expect(hostile.status).toBe(404);
  expect(world.table.all().filter(({ pk }) => pk.startsWith("node-gone#"))).toEqual([]);
});

test("the audit records each operation with its user, key, action, target, time, request and result", async () => {
  const { world, admin, ask } = await adminWorld();
  const sent: string[] = [];
  for (const [method, path] of operations) {
    const { response } = await ask(method, path, admin, path.endsWith("/end") ? { key: "no key" } : undefined);
    sent.unshift(response.headers.get("x-request-id") ?? "");
    world.clock.advance(1000);
  }

  const entries = await getAudit(world, admin);

  const missing = `Job ${nobody} not found`;
  expect(entries.map(({ action, target, result, reason }) => [action, target, result, reason])).toEqual([
    ["list_deliveries", null, "done", null],
    ["list_users", null, "done", null],
    ["list_pools", null, "done", null],
    ["show_state", null, "done", null],
    ["end_record", "no key", "failed", "key must be the key of a job's or a disk's record: <pk>|<sk>"],
    ["list_orphans", null, "done", null],
    ["list_nodes", null, "done", null],
    ["return_node", "h100-1", "done", null],
    ["declare_node_gone", "h100-1", "done", null],
    ["resume_admission", null, "done", null],
    ["pause_admission", null, "done", null],
    ["undrain_pool", "h100", "done", null],
    ["drain_pool", "h100", "done", null],
    ["enable_user", "second", "done", null],
    ["disable_user", "second", "done", null],
    ["cancel_job", nobody, "failed", missing],
    ["list_jobs", null, "done", null],
  ]);
  // The reading of the record itself, which was last, is not on it.
  expect(entries.map((entry) => entry.request_id)).toEqual(sent.slice(1));
  expect(new Set(entries.map(({ operator, key_prefix }) => `${operator} ${key_prefix}`))).toEqual(
    new Set([`developer ${admin.slice(0, 8)}`]),
  );
  expect(entries.every(({ at }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(String(at)))).toBe(true);
  expect(JSON.stringify(world.table.all())).not.toContain(admin);
});

test("repeated reads share one audit entry with a count, and each write has its own", async () => {
  const { world, admin, ask } = await adminWorld();
  for (let n = 0; n < 3; n++) {
    await ask("GET", `/v1/admin/jobs?limit=${n + 1}`, admin);
    await ask("POST", "/v1/admin/pools/h100/drain", admin);
  }
  await ask("GET", "/v1/admin/jobs?user=second", admin);

  const entries = await getAudit(world, admin);

  const counted = entries.map(({ action, target, count }) => [action, target, count].join(" "));
  const drain = "drain_pool h100 1";
  expect(counted.sort()).toEqual([drain, drain, drain, "list_jobs  3", "list_jobs second 1"]);
});

test("the audit is paged, newest first", async () => {
  const { world, admin, ask } = await adminWorld();
  for (const type of ["h100", "t4", "a100"]) {
    await ask("POST", `/v1/admin/pools/${type}/drain`, admin);
    world.clock.advance(1000);
  }

  const first = await ask("GET", "/v1/admin/audit?limit=2", admin);
  const rest = await ask("GET", "/v1/admin/audit?limit=2&offset=2", admin);

  expect(first.body).toMatchObject({
    more: true,
    limit: 2,
    offset: 0,
    entries: [{ target: "a100" }, { target: "t4" }],
  });
  expect(rest.body).toMatchObject({ more: false, entries: [{ target: "h100" }] });
});

test("a job with an invalid record is answered with a clear message, and the operator can end it", async () => {
  const { world, admin, user, ask } = await adminWorld();
  const id = await submitJob(world, user);
  await world.advance(60_000);
  const item = world.table.all().find((item) => item.kind === "environment");
  const key = keyText(item ?? { pk: "", sk: "" });
  const end = (sent: unknown) => ask("POST", "/v1/admin/records/end", admin, sent);

  expect(await end({ key })).toMatchObject({ status: 409 });
  expect(await end({ key: "no key" })).toMatchObject({ status: 400 });
  expect(await end({ key: "user#x|-" })).toMatchObject({ status: 400 });
  expect(await end({ key: `${key}x` })).toMatchObject({ status: 404 });

  await world.table.put({ ...item, format: 99 } as never);
  const newer = await ask("GET", `/v1/jobs/${id}`, user);
  expect([newer.status, newer.response.headers.get("retry-after")]).toEqual([503, "60"]);
  expect(newer.body.detail).toContain("was written by a newer version");
  expect((await ask("GET", "/v1/jobs", user)).body).toMatchObject({ jobs: [], total: 1 });

  await world.table.put({ ...item, phase: "hibernating" } as never);
  const broken = await ask("GET", `/v1/jobs/${id}`, user);
  expect([broken.status, broken.body.detail]).toEqual([
    500,
    "The environment record that this request needs cannot be read. The operator was notified, and its resources are kept",
  ]);
  expect(world.log.lines.at(-2)).toMatchObject({ level: "error", event: "unreadable record" });

  expect(await end({ key })).toMatchObject({ status: 200, body: { key, status: "ended" } });
  await world.advance(60_000);
  expect((await ask("GET", `/v1/jobs/${id}`, user)).body).toMatchObject({
    status: "failed",
    status_reason: "Ended by the operator: its record could not be read",
  });
  expect((await getAudit(world, admin)).filter(({ action }) => action === "end_record")).toHaveLength(5);
});

test("a disk with an invalid record can be ended, and the answer and the audit name what is kept", async () => {
  const { world, admin, ask } = await adminWorld();
  const disk = diskKey("x", "0".repeat(32));
  const named = { volume: { id: "vol-1" }, snapshots: [{ id: "snap-1" }, { id: "snap-2" }] };
  await world.table.put({ ...disk, ...named, writers: ["hand"], kind: "disk" } as never);

  const key = keyText(disk);
  const answer = await ask("POST", "/v1/admin/records/end", admin, { key });

  const kept = { volume: "vol-1", snapshots: ["snap-1", "snap-2"] };
  expect(answer).toMatchObject({ status: 200, body: { key, status: "ended", kept } });
  const [entry] = (await getAudit(world, admin)).filter(({ action }) => action === "end_record");
  expect(entry).toMatchObject({ result: "done", reason: "Kept: vol-1, snap-1, snap-2" });
});

test("the state lists closed types and machines declared dead, with time, operator and reason, until revoked", async () => {
  const { admin, ask, world } = await adminWorld();
  await refreshCapacity(world.ctx);
  const before = await ask("GET", "/v1/admin/state", admin);
  const since = `${new Date(world.clock.now()).toISOString().slice(0, 19)}Z`;
  await ask("POST", "/v1/admin/pools/h100/drain", admin, { reason: "New driver" });
  await ask("POST", "/v1/admin/admission/pause", admin);
  await ask("POST", "/v1/admin/nodes/h100-1/gone", admin, { reason: "Its fan is broken" });
  await world.advance(60_000);
  await ask("POST", "/v1/admin/pools/h100/drain", admin, { reason: "A later repeat" });
  const closed = await ask("GET", "/v1/admin/state", admin);
  await ask("POST", "/v1/admin/pools/h100/undrain", admin);
  await ask("POST", "/v1/admin/admission/resume", admin);
  await ask("POST", "/v1/admin/nodes/h100-1/back", admin);
  await world.advance(120_000);
  const after = await ask("GET", "/v1/admin/state", admin);

  const none = { drained: [], drained_parts: [], planned_drains: [], gone_nodes: [], gone_node_count: 0 };
  const open = { paused: null, ...none };
  const until = `${new Date(Date.parse(since) + 24 * 3_600_000).toISOString().slice(0, 19)}Z`;
  const uid = expect.any(String);
  expect([before.body, after.body]).toEqual([open, open]);
  expect(closed.body).toEqual({
    paused: { since, by: "developer", reason: null },
    drained: [{ gpu_type: "h100", since, by: "developer", reason: "New driver" }],
    drained_parts: [],
    planned_drains: [],
    gone_nodes: [{ node: "h100-1", uid, gpu_type: "h100", since, by: "developer", reason: "Its fan is broken", until }],
    gone_node_count: 1,
  });
});

test("a closure by an older version is shown without time and operator", async () => {
  const { admin, ask, world } = await adminWorld();
  await ask("POST", "/v1/admin/pools/t4/drain", admin);
  const [item] = world.table.all().filter(({ kind }) => kind === "admission");
  if (!item) throw new Error("No admission");
  const { closures: _, ...old } = item as typeof item & { closures: unknown };
  await world.table.put(old as typeof item);

  expect((await ask("GET", "/v1/admin/state", admin)).body).toMatchObject({
    drained: [{ gpu_type: "t4", since: null, by: null, reason: null }],
  });
  expect((await ask("POST", "/v1/admin/pools/t4/drain", admin, { reason: "x".repeat(201) })).status).toBe(400);
});
