import { describe, expect, test } from "vitest";
import { plainInstance, plainSession, smallJob, workspaceOf } from "./catalog-requests.ts";
import { type HttpWorld, type HttpWorldOptions, httpWorld } from "./http-world.ts";
import { nodesOf } from "./memory-world.ts";

type Answered = readonly [status: number, body: ReturnType<typeof JSON.parse>];
type Stores = Pick<HttpWorldOptions, "table" | "carrier">;

interface Life {
  readonly world: HttpWorld;
  readonly key: string;
  ask(method: string, path: string, body?: unknown): Promise<Answered>;
}

/** One whole life in each dialect by its wire alone, on stores that are new for each. */
export function lifeCases(open: () => Promise<Stores>): void {
  const begin = async (): Promise<Life> => {
    const world = await httpWorld({ nodes: nodesOf({ "cpu-x86": 1, a10g: 1, "cpu-shared": 1 }), ...(await open()) });
    const key = await world.login();
    const ask: Life["ask"] = async (method, path, body) => {
      const response = await world.request(method, path, { key, body });
      return [response.status, await response.json()];
    };
    return { world, key, ask };
  };

  describe("one whole life", () => {
    test("of a gpu-dev job with a disk and a receiver", async () => liveAsJob(await begin()));
    test("of a session-manager session", async () => liveAsSession(await begin()));
    test("of an onmemos session, which both families show", async () => liveAsOnmemos(await begin()));
    test("of a novita instance", async () => liveAsInstance(await begin()));
    test("of a dev8 workspace", async () => liveAsWorkspace(await begin()));
  });
}

const url = "https://hooks.example/jobs";

async function liveAsJob({ world, ask }: Life): Promise<void> {
  const body = { ...smallJob, disk_name: "kept", webhook_url: url };
  const [, { job_id }] = await ask("POST", "/v1/jobs/submit", body);
  await world.advance(10_000);
  const [, behind] = await ask("POST", "/v1/jobs/submit", smallJob);
  await world.advance(10_000);
  const active = await ask("GET", `/v1/jobs/${job_id}`);
  const waiting = await ask("GET", `/v1/jobs/${behind.job_id}`);
  const used = await ask("GET", "/v1/disks/kept");
  const extended = await ask("POST", `/v1/jobs/${job_id}/extend`, { extension_hours: 1 });
  const cancelled = await ask("POST", `/v1/jobs/${job_id}/cancel`);
  await world.advance(60_000);

  expect(active).toMatchObject([200, { status: "active" }]);
  expect(waiting).toMatchObject([200, { status: "queued" }]);
  expect(used).toMatchObject([200, { disk_name: "kept", in_use: true }]);
  expect([extended[0], cancelled[0]]).toEqual([200, 200]);
  expect(await ask("GET", `/v1/jobs/${job_id}`)).toMatchObject([200, { status: "cancelled" }]);
  expect(await ask("GET", `/v1/jobs/${behind.job_id}`)).toMatchObject([200, { status: "active" }]);
  expect(await ask("GET", "/v1/jobs?status=active")).toMatchObject([200, { jobs: [{ job_id: behind.job_id }] }]);
  expect(await ask("GET", "/v1/disks/kept")).toMatchObject([200, { in_use: false }]);
  const [, { deliveries }] = await ask("GET", "/v1/webhooks/deliveries");
  expect(deliveries.length).toBe(world.fetch.posts.length);
  expect(deliveries[0]).toMatchObject({ environment_id: job_id, phase: "cancelled", state: "delivered" });
}

async function liveAsSession({ world, key, ask }: Life): Promise<void> {
  const [made, { uuid }] = await ask("POST", "/session/create", { user_id: "user@example.com" });
  await world.advance(10_000);
  const at = `/session/${uuid}`;
  const awake = await ask("GET", `${at}/status`);
  const answered = await ask("POST", `${at}/chat`, { message: "Hi" });
  await ask("POST", `${at}/sleep`);
  await world.advance(10_000);
  const asleep = await ask("GET", `${at}/status`);
  const [queued] = await ask("POST", `${at}/chat`, { message: "wake up" });
  const [, { queue_length }] = await ask("GET", `${at}/status`);
  await world.advance(30_000);
  const again = await ask("GET", `${at}/status`);
  const listed = await ask("GET", "/sessions");
  const deleted = await ask("DELETE", at);
  const [, { backups }] = await ask("GET", "/session/backups");
  const zip = await world.request("GET", `/session/backups/${backups[0]?.name}`, { key });

  expect(made).toBe(201);
  expect(awake).toMatchObject([200, { replicas: 1, session: { status: "running" } }]);
  expect(answered).toEqual([200, { uuid, status: "processed", message_id: "1", pod_response: { reply: "Hi" } }]);
  expect(asleep).toMatchObject([200, { replicas: 0, session: { status: "sleeping" } }]);
  expect([queued, queue_length]).toEqual([202, 1]);
  expect(again).toMatchObject([200, { replicas: 1, queue_length: 0, session: { status: "running" } }]);
  expect(listed).toMatchObject([200, { total: 1, sessions: [{ uuid }] }]);
  expect(deleted).toEqual([200, { uuid, status: "terminated" }]);
  expect(await ask("GET", "/sessions")).toMatchObject([200, { total: 0 }]);
  expect(backups).toMatchObject([{ uuid, status: "completed" }]);
  expect([zip.status, (await zip.arrayBuffer()).byteLength]).toEqual([200, backups[0]?.size_bytes]);
}

async function liveAsOnmemos({ world, ask }: Life): Promise<void> {
  const [made, session] = await ask("POST", "/v1/sessions", plainSession);
  world.compute.programExec(() => true, { stdout: "out\n", stderr: "", exitCode: 3 });
  const at = `/v1/sessions/${session.id}`;

  expect([made, session.status]).toEqual([201, "running"]);
  expect(await ask("GET", at)).toEqual([200, session]);
  expect(await ask("GET", "/v1/sessions?namespace=my-project")).toEqual([200, { sessions: [session], count: 1 }]);
  expect(await ask("POST", `${at}/execute`, { command: "false" })).toEqual([
    200,
    { stdout: "out\n", stderr: "", returncode: 3, success: false },
  ]);
  expect(await ask("POST", `/v1/cloudrun/workspaces/${session.id}/runsh?command=ls`)).toMatchObject([
    200,
    { workspace_id: session.id, command: "ls", returncode: 3 },
  ]);
  expect(await ask("DELETE", at)).toEqual([200, { ok: true }]);
  await world.advance(30_000);
  expect(await ask("GET", at)).toEqual([404, { detail: "Session not found" }]);
  expect(await ask("GET", "/v1/cloudrun/workspaces")).toEqual([200, { workspaces: [], count: 0 }]);
  expect([await world.compute.listRuns(), world.volumes.volumeIds()]).toEqual([[], []]);
}

async function liveAsInstance({ world, ask }: Life): Promise<void> {
  const [made, { instanceId }] = await ask("POST", "/api/instances", plainInstance);
  const at = `/api/instances/${instanceId}`;
  await world.advance(10_000);
  const ready = await ask("GET", at);
  const used = await ask("PUT", `${at}/last-used`);
  const stopping = await ask("POST", "/api/instances/stop", { instanceName: plainInstance.name });
  await world.advance(10_000);
  const stopped = await ask("GET", at);
  const starting = await ask("POST", `${at}/start`);
  await world.advance(10_000);
  const again = await ask("GET", "/api/instances");

  expect(made).toBe(201);
  expect(ready).toMatchObject([200, { id: instanceId, name: plainInstance.name, status: "ready" }]);
  expect(used[0]).toBe(200);
  expect(stopping).toMatchObject([200, { instanceId, status: "stopping" }]);
  expect(stopped).toMatchObject([200, { status: "stopped", statusReason: "requested" }]);
  expect(starting).toMatchObject([202, { instanceId, status: "starting" }]);
  expect(again).toMatchObject([200, { total: 1, instances: [{ id: instanceId, status: "ready" }] }]);
  expect(await ask("DELETE", at)).toMatchObject([200, { instanceId, status: "deleted" }]);
  await world.advance(30_000);
  expect((await ask("GET", at))[0]).toBe(404);
  expect(await ask("GET", "/api/instances")).toMatchObject([200, { total: 0 }]);
  expect([await world.compute.listRuns(), world.volumes.volumeIds()]).toEqual([[], []]);
}

async function liveAsWorkspace({ world, ask }: Life): Promise<void> {
  const path = "/api/v1/environments";
  const workspaceId = "test-workspace-001";
  const body = workspaceOf(workspaceId);
  const statusOf = async () => (await ask("GET", `${path}/${workspaceId}`))[1].data?.environment.status;
  const [made, created] = await ask("POST", path, body);

  expect([made, created.data.environment.status]).toEqual([201, "RUNNING"]);
  expect((await ask("POST", `${path}/${workspaceId}/activity`))[0]).toBe(200);
  expect((await ask("POST", `${path}/stop`, body))[0]).toBe(200);
  expect([await statusOf(), world.volumes.volumeIds().length]).toEqual(["STOPPED", 2]);
  const [started, again] = await ask("POST", `${path}/start`, { ...body, name: "Renamed" });
  expect([started, again.data.environment]).toMatchObject([200, { status: "RUNNING", name: "Renamed" }]);
  expect(await ask("DELETE", path, body)).toMatchObject([409, { success: false }]);
  expect((await ask("DELETE", path, { ...body, force: true }))[0]).toBe(200);
  expect((await ask("GET", `${path}/${workspaceId}`))[0]).toBe(404);
  expect([await world.compute.listRuns(), world.volumes.volumeIds()]).toEqual([[], []]);
}
