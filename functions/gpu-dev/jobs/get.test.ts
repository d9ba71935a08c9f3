import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

type Shown = Readonly<Record<string, unknown>>;

async function show(world: HttpWorld, key: string, id: string): Promise<Shown> {
  const response = await world.request("GET", `/v1/jobs/${id}`, { key });
  expect(response.status).toBe(200);
  return (await response.json()) as Shown;
}

function formatUid({ table }: HttpWorld, id: string): string {
  return String(table.all().find((item) => item.kind === "environment" && item.id === id)?.uid);
}

const documented =
  "job_id, reservation_id, user_id, status, gpu_type, gpu_count, instance_type, duration_hours, created_at, expires_at, name, pod_name, node_ip, node_port, ssh_command, jupyter_enabled, jupyter_url, jupyter_token, github_user";
const ours =
  "status_reason, queue_position, estimated_start_time, estimated_start_latest, disk_name, isolation, limits, secondary_users, ssh_host_key, launched_at, jupyter_port, jupyter_error, current_detailed_status, warning, image, env_names, exit_code, ended_at, gpu_hours, on_interruption, requeue_count, grace_seconds, min_duration_hours, command, actions, timeline";

test("an active job has the documented keys, then Berth's own, and no others", async () => {
  const world = await httpWorld();
  const key = await world.login();
  world.githubKeys.publish("octocat", "");
  const id = await submitJob(world, key, { gpu_count: 4, duration_hours: 2, name: "run", github_user: "octocat" });

  await world.advance(5_000);

  const job = await show(world, key, id);
  expect(Object.keys(job)).toEqual(`${documented}, ${ours}`.split(", "));
  expect(job).toMatchObject({
    job_id: id,
    reservation_id: id,
    user_id: "developer",
    status: "active",
    gpu_type: "h100",
    gpu_count: 4,
    instance_type: "p5.48xlarge",
    duration_hours: 2,
    created_at: "2026-01-20T18:00:00Z",
    expires_at: "2026-01-20T20:00:00Z",
    name: "run",
    pod_name: `gpu-dev-${id.slice(0, 8)}`,
    node_ip: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
    ssh_command: null,
    jupyter_enabled: false,
    jupyter_url: null,
    jupyter_token: null,
    github_user: "octocat",
    status_reason: "No SSH keys found for GitHub user 'octocat'",
    queue_position: null,
    estimated_start_time: null,
    disk_name: null,
    actions: [],
  });
  expect((job.timeline as readonly Shown[]).map((entry) => entry.status)).toEqual(
    expect.arrayContaining(["queued", "active"]),
  );
  expect((job.timeline as readonly Shown[])[0]).toEqual({
    at: "2026-01-20T18:00:00Z",
    status: "queued",
    reason: "No disk: files in $WORKSPACE and the home are lost when the job ends",
  });
});

test("a job shows its request, its command only to its owner, and no value of a variable", async () => {
  const world = await httpWorld({ settings: { adminUsers: ["second"] } });
  const key = await world.login();
  const command = `echo 💥${"x".repeat(300)}`;
  const env_vars = { WANDB_API_KEY: "wandb-secret", EXPERIMENT: "v1" };
  const id = await submitJob(world, key, { image: "ubuntu:24.04", command, env_vars, name: "run" });
  await world.advance(60_000);

  const job = await show(world, key, id);
  const list = await (await world.request("GET", "/v1/jobs", { key })).text();
  const admin = await (await world.request("GET", "/v1/admin/jobs", { key: await world.login(second) })).text();

  expect(job).toMatchObject({
    image: "ubuntu:24.04",
    env_names: ["WANDB_API_KEY", "EXPERIMENT"],
    exit_code: null,
    ended_at: null,
    command: [...command].slice(0, 200).join(""),
  });
  expect(list).toContain('"image":"ubuntu:24.04"');
  expect(admin).toContain('"env_names":["WANDB_API_KEY","EXPERIMENT"]');
  for (const text of [list, admin]) expect(text).not.toContain("xxx");
  for (const text of [list, admin, JSON.stringify(job)]) expect(text).not.toContain("wandb-secret");
  expect(JSON.stringify(world.log.lines)).not.toContain("xxx");
});

test("a command that the current key of the deployment cannot open is null", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { command: "sleep 100" });
  const spec = world.table.all().find((item) => item.kind === "spec");
  await world.table.put({ ...spec, sealed: "changed" } as never);

  expect(await show(world, key, id)).toMatchObject({ command: null });
});

test("GPU-hours count the GPUs from the start to the end, and nothing while a job waits", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { gpu_count: 4, duration_hours: 3 });
  expect(await show(world, key, id)).toMatchObject({ gpu_hours: 0 });
  await world.advance(5_000);
  const { launched_at } = await show(world, key, id);
  await world.advance(Date.parse(String(launched_at)) + 1_800_000 - world.clock.now());
  expect(await show(world, key, id)).toMatchObject({ gpu_hours: 2, ended_at: null });

  await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
  await world.advance(1_800_000);

  expect(await show(world, key, id)).toMatchObject({ gpu_hours: 2, exit_code: null, ended_at: "2026-01-20T18:30:00Z" });
});

test("variable names of more than 4,096 characters in all are cut, and the job is accepted", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const names = Array.from({ length: 100 }, (_, n) => `N${String(n).padStart(99, "0")}`);
  const id = await submitJob(world, key, { env_vars: Object.fromEntries(names.map((name) => [name, "1"])) });

  expect(await show(world, key, id)).toMatchObject({ env_names: names.slice(0, 40) });
});

test("a job is preparing from its grant on, and its status never moves backwards", async () => {
  const world = await httpWorld({ delays: { bindMs: 3_000, imageMs: 3_000, containerMs: 3_000, probeMs: 3_000 } });
  const key = await world.login();
  const id = await submitJob(world, key);
  const seen = [await show(world, key, id)];

  for (let second = 0; second < 30; second++) {
    await world.advance(1_000);
    seen.push(await show(world, key, id));
  }

  const statuses = seen.map((job) => job.status).filter((status, at, all) => status !== all[at - 1]);
  expect(statuses).toEqual(["queued", "preparing", "active"]);
  const granted = seen.filter((job) => job.status_reason === "Capacity granted, preparing pod");
  expect(new Set(granted.map((job) => job.status))).toEqual(new Set(["preparing"]));
  expect(seen.filter((job) => job.status === "active").every((job) => job.status_reason === null)).toBe(true);
  expect(seen.filter((job) => job.status !== "active").every((job) => job.node_ip === null)).toBe(true);
  expect(seen.filter((job) => job.status !== "active").every((job) => job.expires_at === null)).toBe(true);
});

test("a job says why its pod is on no machine yet", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);
  const uid = formatUid(world, id);
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available: 1 node(s) were unschedulable" });
  await world.advance(20_000);

  expect(await show(world, key, id)).toMatchObject({
    status: "preparing",
    status_reason: "Capacity granted, preparing pod: 0/2 nodes are available: 1 node(s) were unschedulable",
  });
});

test("a job whose pod the cluster refuses waits in the queue with the cluster's reason", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);
  const reason = "The quota gpus of the cluster is used up";
  world.compute.program(formatUid(world, id), { kind: "neverBinds", reason, refusedForNow: true });
  await world.advance(20_000);
  const granted = await show(world, key, id);
  await world.advance(70_000);
  const waiting = await show(world, key, id);

  expect(granted).toMatchObject({ status: "preparing", status_reason: `Capacity granted, preparing pod: ${reason}` });
  expect(waiting).toMatchObject({ status: "queued", status_reason: reason });
});

test("a job whose grant is withdrawn is queued again with a position, and its timeline says why", async () => {
  const world = await httpWorld({ delays: { bindMs: 3_600_000 } });
  const key = await world.login();
  const id = await submitJob(world, key);
  const seen: Shown[] = [];

  for (let minute = 0; minute < 30; minute++) {
    await world.advance(60_000);
    seen.push(await show(world, key, id));
  }

  const timeline = seen.at(-1)?.timeline as readonly Shown[];
  const statuses = timeline.map(({ status }) => status);
  expect(statuses.slice(0, 3)).toEqual(["queued", "preparing", "queued"]);
  expect(timeline[2]?.reason).toEqual(expect.any(String));
  for (const { status, queue_position } of seen) {
    expect([status, queue_position]).toEqual([status, status === "queued" ? expect.any(Number) : null]);
  }
});

test("a waiting job shows its place, its expected start and its reason", async () => {
  const world = await httpWorld({ nodes: newNodes({ h100: 1 }) });
  const key = await world.login();
  await submitJob(world, key, { gpu_count: 4, duration_hours: 2 });
  await world.advance(3_000);
  const first = await submitJob(world, key, { duration_hours: 3 });
  await world.advance(3_000);
  const next = await submitJob(world, key);

  await world.advance(3_000);

  expect(await show(world, key, first)).toMatchObject({
    status: "queued",
    queue_position: 1,
    status_reason: "Need 8 H100 GPUs, only 4 available - position #1",
    estimated_start_time: "2026-01-20T20:00:00Z",
    estimated_wait_minutes: 120,
    expires_at: null,
  });
  expect(await show(world, key, next)).toMatchObject({
    status: "queued",
    queue_position: 2,
    status_reason: "Need 8 H100 GPUs, only 4 available - position #2",
    estimated_start_time: "2026-01-20T23:00:00Z",
    estimated_wait_minutes: 300,
  });
});

test("a job for a type without machines shows that reason", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { instance_type: "p4d.24xlarge" });

  await world.advance(3_000);

  const job = await show(world, key, id);
  const endsAt = new Date(Date.parse(String(job.created_at)) + 48 * 3_600_000).toISOString().replace(".000", "");
  const reason = `No A100 nodes available - position #1 in queue; no such machine takes jobs now: unless one does, it ends by itself at ${endsAt}`;
  expect(job).not.toHaveProperty("estimated_wait_minutes");
  expect(job).toMatchObject({
    status: "queued",
    queue_position: 1,
    status_reason: reason,
    current_detailed_status: reason,
    estimated_start_time: null,
  });
});

test("a job is 304 while it is unchanged, and 200 once it has changed", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);
  await world.advance(5_000);
  const ask = async (path: string, tag = "") => {
    const response = await world.request("GET", path, { key, headers: { "If-None-Match": tag } });
    return { status: response.status, tag: response.headers.get("etag") ?? "" };
  };
  const [job, jobs, all] = [`/v1/jobs/${id}`, "/v1/jobs", "/v1/gpu/availability"];
  const before = await Promise.all([job, jobs, all].map((path) => ask(path)));
  const again = () => Promise.all([job, jobs, all].map((path, at) => ask(path, before[at]?.tag)));

  await world.advance(60_000);
  expect((await again()).map(({ status }) => status)).toEqual([304, 304, 304]);

  await world.request("POST", `${job}/cancel`, { key });
  await world.advance(10_000);
  expect((await again()).map(({ status }) => status)).toEqual([200, 200, 200]);
});

const ends = [
  ["completed", "command exited with code 0", { code: 0, afterMs: 1_000 }],
  ["failed", "command exited with code 3", { code: 3, afterMs: 1_000 }],
] as const;

test.each(ends)("a command leaves the job %s: %s", async (status, status_reason, { code, afterMs }) => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { command: "python train.py" });
  const { uid } = world.table.all().find((item) => item.id === id) as unknown as { uid: string };
  world.compute.program(uid, { kind: "exits", code, afterMs });

  await world.advance(30_000);

  const job = await show(world, key, id);
  expect(job).toMatchObject({ status, status_reason, node_ip: null, exit_code: code, command: null });
  expect(job.ended_at).toEqual(expect.any(String));
  expect(job.timeline).toContainEqual({ at: expect.any(String), status, reason: status_reason });
});

test("a job whose time is over is expired, and shows since when", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { duration_hours: 0.25 });

  await world.advance(16 * 60_000);

  const job = await show(world, key, id);
  expect(job).toMatchObject({ status: "expired", expires_at: "2026-01-20T18:15:00Z", node_ip: null });
  expect((job.timeline as readonly Shown[]).map((entry) => entry.reason)).toContain("Expires in 5 minutes");
});

test.each([
  "submit",
  "00000000-0000-7000-8000-000000000000",
  "00000000-0000-4000-8000-000000000000",
  "{job_id}",
  "..%2f..",
  "💥",
  "%zz",
])("404 for the id %s", async (id) => {
  const world = await httpWorld();
  const key = await world.login();

  const response = await world.request("GET", `/v1/jobs/${id}`, { key });

  const plain = id.replace("%2f", "/");
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({ detail: `Job ${plain} not found` });
});
