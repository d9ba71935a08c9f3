import { expect, test } from "vitest";
import { plainJob, submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld } from "#tests/worlds/http-world.ts";

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function submitted(world: HttpWorld, key: string, fields: Readonly<Record<string, unknown>>) {
  const id = await submitJob(world, key, fields);
  const shown = await world.request("GET", `/v1/jobs/${id}`, { key });
  return (await shown.json()) as Record<string, unknown>;
}

const noDisk = "No disk: files in $WORKSPACE and the home are lost when the job ends";

test("a submit of a job with a disk answers with the four documented keys and its GPU-hours", async () => {
  const world = await httpWorld();
  const body = { ...plainJob, disk_name: "my-training-data" };

  const response = await world.request("POST", "/v1/jobs/submit", { key: await world.login(), body });

  const keys = ["job_id", "status", "message", "estimated_start_time", "gpu_hours"];
  expect(Object.keys((await response.json()) as object)).toEqual(keys);
});

test.each([{}, { disk_name: null }, { instance_type: "c7i.8xlarge" }])(
  "a submit without a disk, %j, is answered with a warning that files are lost",
  async (fields) => {
    const world = await httpWorld();
    const body = { ...plainJob, ...fields };

    const response = await world.request("POST", "/v1/jobs/submit", { key: await world.login(), body });

    expect(await response.json()).toMatchObject({ warning: noDisk });
  },
);

test.each([
  [{}, noDisk],
  [{ disk_name: "my-training-data" }, null],
  [{ env_vars: { DISK_NAME: "no-field-of-a-submit" } }, noDisk],
])("the timeline of a job of %j begins with a note only if its files will be lost", async (fields, reason) => {
  const world = await httpWorld();
  const key = await world.login();

  const queued = await submitted(world, key, fields);
  await world.advance(60_000);
  const shown = await world.request("GET", `/v1/jobs/${queued.job_id}`, { key });
  const active = (await shown.json()) as { status: string; timeline: { reason: string | null }[] };

  expect(queued).toMatchObject({ status_reason: "Waiting to be placed", timeline: [{ status: "queued", reason }] });
  expect(active.status).toBe("active");
  expect(active.timeline.map((entry) => entry.reason).filter((text) => text === noDisk)).toHaveLength(reason ? 1 : 0);
});

test.each([
  [{ gpu_count: 1, duration_hours: 0.5 }, 0.5],
  [{ gpu_count: 16, duration_hours: 2 }, 32],
  [{ instance_type: "g4dn.2xlarge", duration_hours: 1 / 3 }, 0.333],
  [{ instance_type: "c7i.8xlarge" }, 0],
])("a submit of %j shows how many GPU-hours it would use, like the estimate", async (fields, gpu_hours) => {
  const world = await httpWorld();
  const key = await world.login();
  const body = { ...plainJob, ...fields };

  const response = await world.request("POST", "/v1/jobs/submit", { key, body });
  const estimate = await world.request("POST", "/v1/jobs/estimate", { key, body });

  expect([response.status, await response.json()]).toMatchObject([200, { gpu_hours }]);
  expect(await estimate.json()).toMatchObject({ gpu_hours });
});

test("a submit answers with the documented keys and a warning, and a GET right after it shows the defaults", async () => {
  const world = await httpWorld();
  const key = await world.login();

  const response = await world.request("POST", "/v1/jobs/submit", { key, body: plainJob });

  const text = await response.text();
  const { job_id: id } = JSON.parse(text) as { job_id: string };
  const message = "Job submitted successfully to queue (message ID: 1)";
  expect(response.status).toBe(200);
  expect(id).toMatch(uuid4);
  expect(text).toBe(
    JSON.stringify({
      job_id: id,
      status: "queued",
      message,
      estimated_start_time: null,
      gpu_hours: 8,
      warning: noDisk,
    }),
  );
  expect(await (await world.request("GET", `/v1/jobs/${id}`, { key })).json()).toMatchObject({
    status: "queued",
    gpu_type: "h100",
    gpu_count: 8,
    duration_hours: 1,
    name: `gpu-dev-${id.slice(0, 8)}`,
    pod_name: `gpu-dev-${id.slice(0, 8)}`,
    github_user: null,
    disk_name: null,
  });
});

const kept: readonly (readonly [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>])[] = [
  [{ duration_hours: 0.25 }, { duration_hours: 0.25 }],
  [{ duration_hours: 0.083 }, { duration_hours: 0.083 }],
  [{ duration_hours: 72 }, { duration_hours: 72 }],
  [{ duration_hours: 2.0 }, { duration_hours: 2 }],
  [{ duration_hours: 1.1 }, { duration_hours: 1.1 }],
  [{ name: "training run 💥" }, { name: "training run 💥" }],
  [{ name: "n".repeat(128) }, { name: "n".repeat(128) }],
  [{ github_user: "octo-cat" }, { github_user: "octo-cat" }],
  [{ duration_hours: null }, { duration_hours: 1 }],
  [{ disk_name: null, disk_size_gb: 10, command: null, env_vars: null, name: null }, { disk_name: null }],
  [{ env_vars: {}, command: "" }, { gpu_count: 8 }],
  [{ env_vars: { N: 1, B: true, _x1: "" } }, { gpu_count: 8 }],
  [{ unknown_field: { deep: [1] } }, { gpu_count: 8 }],
  [
    { gpu_type: "h100", gpu_count: 4 },
    { gpu_type: "h100", gpu_count: 4 },
  ],
  ...[1, 2, 4, 8, 16, 24, 64].map((count) => [{ gpu_count: count }, { gpu_count: count }] as const),
  ...[1, 2, 4, 8, 12, 32].map(
    (count) =>
      [
        { instance_type: "g5.12xlarge", gpu_count: count },
        { gpu_type: "a10g", gpu_count: count },
      ] as const,
  ),
  [{ instance_type: "g4dn.2xlarge" }, { gpu_type: "t4-small", gpu_count: 1 }],
  [
    { instance_type: "g4dn.2xlarge", gpu_count: 8 },
    { gpu_type: "t4-small", gpu_count: 8 },
  ],
  [{ instance_type: "g4dn.12xlarge" }, { gpu_type: "t4", gpu_count: 4 }],
  [{ instance_type: "g6.12xlarge" }, { gpu_type: "l4", gpu_count: 4 }],
  [{ instance_type: "p4d.24xlarge" }, { gpu_type: "a100", gpu_count: 8 }],
  [{ instance_type: "p5e.48xlarge" }, { gpu_type: "h200", gpu_count: 8 }],
  [{ instance_type: "p6-b200.48xlarge" }, { gpu_type: "b200", gpu_count: 8 }],
  [{ instance_type: "c7i.8xlarge" }, { gpu_type: "cpu-x86", gpu_count: 0 }],
  [
    { instance_type: "c7g.8xlarge", gpu_count: 0 },
    { gpu_type: "cpu-arm", gpu_count: 0 },
  ],
];

/** A world whose GitHub knows the users of these tests. */
async function worldWithUsers(): Promise<HttpWorld> {
  const world = await httpWorld();
  for (const name of ["octocat", "octo-cat", "hubot"]) world.githubKeys.publish(name, "");
  return world;
}

test.each(kept)("%j is accepted and shown as %j", async (fields, shown) => {
  const world = await worldWithUsers();

  const job = await submitted(world, await world.login(), fields);

  expect(job).toMatchObject(shown);
});

const oldClients: typeof kept = [
  [{ env_vars: { GPU_COUNT: "4" } }, { gpu_count: 4 }],
  [{ env_vars: { GPU_COUNT: 2 } }, { gpu_count: 2 }],
  [{ env_vars: { GPU_TYPE: "H100", GPU_COUNT: "8" } }, { gpu_type: "h100", gpu_count: 8 }],
  [{ env_vars: { GITHUB_USER: "octocat" } }, { github_user: "octocat" }],
  [{ env_vars: { GITHUB_USER: "" } }, { github_user: null }],
  [{ env_vars: { JUPYTER_ENABLED: "true" } }, { gpu_count: 8 }],
  [{ gpu_count: 2, env_vars: { GPU_COUNT: "4" } }, { gpu_count: 2 }],
  [{ gpu_type: "h100", gpu_count: 8, env_vars: { GPU_COUNT: "x", GPU_TYPE: "a100" } }, { gpu_count: 8 }],
  [{ github_user: "hubot", env_vars: { GITHUB_USER: "octocat" } }, { github_user: "hubot" }],
];

test.each(oldClients)("settings that old clients put into env_vars count: %j is shown as %j", async (fields, shown) => {
  const world = await worldWithUsers();

  const job = await submitted(world, await world.login(), fields);

  expect(job).toMatchObject(shown);
});

test("the stored request contains every variable as text, even those of old clients, and the command", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const env_vars = { GPU_COUNT: "4", N: 1, B: false, TEXT: "a=b\n💥" };

  await submitJob(world, key, { env_vars, command: "python train.py" });

  const spec = world.table.all().find((item) => item.kind === "spec");
  if (!spec) throw new Error("The submit wrote no spec");
  const opened = await world.ctx.sealer.open(spec.sealed as never, `${spec.pk}|${spec.sk}`);
  const env = { GPU_COUNT: "4", N: "1", B: "false", TEXT: "a=b\n💥" };
  expect(spec.image).toBe(plainJob.image);
  expect(JSON.parse(opened)).toEqual({ command: "python train.py", env });
});

test.each(["", " ", "\n\t "])(
  "a job with the blank command %j runs none, and lives until its time is over",
  async (command) => {
    const world = await httpWorld();
    const key = await world.login();

    await submitJob(world, key, { command });

    const spec = world.table.all().find((item) => item.kind === "spec");
    const opened = await world.ctx.sealer.open(spec?.sealed as never, `${spec?.pk}|${spec?.sk}`);
    expect(JSON.parse(opened)).toEqual({ env: {} });
  },
);

test("a submit whose message is lost is answered as usual, and the sweep starts the job", async () => {
  const queue = { send: async () => Promise.reject(new Error("SQS is away")) };
  const world = await httpWorld({ wrap: (ports) => ({ ...ports, queue: { ...ports.queue, ...queue } }) });
  const key = await world.login();

  const id = await submitJob(world, key);
  await world.advance(130_000);

  const shown = (await (await world.request("GET", `/v1/jobs/${id}`, { key })).json()) as Record<string, unknown>;
  expect(shown.status).toBe("active");
  expect(world.log.lines.map((line) => line.event)).toContain("send failed");
});

test.each([
  [{ grace_seconds: 120 }, 120],
  [{ grace_seconds: null }, null],
  [{}, null],
])("the grace period of a submit with %j reaches the job's machines, and its answer", async (fields, seconds) => {
  const world = await httpWorld();
  const given: unknown[] = [];
  const { apply } = world.ctx.compute;
  world.ctx.compute.apply = (run) => {
    given.push(run.graceSeconds ?? null);
    return apply(run);
  };

  const shown = await submitted(world, await world.login(), fields);
  await world.advance(60_000);

  expect(shown).toMatchObject({ grace_seconds: seconds });
  expect(given).toEqual([seconds]);
});
