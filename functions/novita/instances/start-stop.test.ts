import { describe, expect, test } from "vitest";
import { instanceWorld } from "#tests/worlds/instance-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const initiated = "Instance start initiated successfully";
const operationId = expect.stringMatching(/^op_[a-z0-9]{12}$/);

describe("start", () => {
  test("right after create reports the running operation, and changes nothing", async () => {
    const { ask, id, head } = await instanceWorld({ waitMs: 0, delays: { imageMs: MINUTE } });
    const before = head();

    const first = await ask("POST", `/api/instances/${id}/start`);
    const again = await ask("POST", "/api/instances/start", { instanceName: "my-instance" });

    expect(first).toEqual({
      status: 202,
      body: {
        instanceId: id,
        novitaInstanceId: id,
        operationId,
        status: "creating",
        message: initiated,
        estimatedReadyTime: "2026-01-20T18:05:00.000Z",
      },
    });
    expect(again).toEqual(first);
    expect(head()).toEqual(before);
  });

  test("of a ready instance reports that it is ready", async () => {
    const { ask, id, show } = await instanceWorld();

    const { status, body } = await ask("POST", `/api/instances/${id}/start`);

    expect([status, body.status, body.message]).toEqual([202, "ready", "Instance is already running"]);
    expect(body.estimatedReadyTime).toBe((await show()).readyAt);
  });

  test("estimates by the plan when a machine is free", async () => {
    const { world, ask, create } = await instanceWorld({ nodes: newNodes({ a10g: 1 }) });
    const { body } = await create({ gpuNum: 4 });
    await world.advance(30 * SECOND);

    const start = await ask("POST", `/api/instances/${body.instanceId}/start`);

    const soon = world.clock.now() + 6 * MINUTE;
    expect([start.status, start.body.status]).toEqual([202, "creating"]);
    expect(Date.parse(start.body.estimatedReadyTime)).toBeGreaterThan(soon);
  });

  test("estimates by the last forecast until the plan includes it", async () => {
    const { world, ask, id, create } = await instanceWorld({ nodes: newNodes({ a10g: 1 }) });
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(10 * SECOND);
    await create({ gpuNum: 4 });
    await world.advance(90 * SECOND);

    const start = await ask("POST", `/api/instances/${id}/start`);

    const soon = world.clock.now() + 6 * MINUTE;
    expect([start.status, start.body.status]).toEqual([202, "starting"]);
    expect(Date.parse(start.body.estimatedReadyTime)).toBeGreaterThan(soon);
    const failsAt = new Date(world.clock.now() + 10 * MINUTE).toISOString();
    expect(start.body.message).toBe(
      `${initiated}; it fails at ${failsAt}, before its estimated time, unless it is ready by then`,
    );
  });

  test("creates a new run on the same storage, with a new operation", async () => {
    const { world, ask, id, head, show } = await instanceWorld();
    const first = await ask("POST", `/api/instances/${id}/start`);
    const before = head();
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(10 * SECOND);

    const second = await ask("POST", `/api/instances/${id}/start`);
    await world.advance(10 * SECOND);

    expect([second.status, second.body.status, second.body.message]).toEqual([202, "starting", initiated]);
    expect(second.body.operationId).not.toBe(first.body.operationId);
    expect((await show()).status).toBe("ready");
    expect([head().run.n, head().volumes]).toEqual([before.run.n + 1, before.volumes]);
  });

  test("is refused during a stop or a deletion", async () => {
    const { world, ask, id } = await instanceWorld({ delays: { removeMs: 30 * SECOND } });
    await ask("POST", `/api/instances/${id}/stop`);
    const stopping = await ask("POST", `/api/instances/${id}/start`);
    const gone = ask("DELETE", `/api/instances/${id}`);
    await gone;
    const terminated = await ask("POST", `/api/instances/${id}/start`);
    const stop = await ask("POST", `/api/instances/${id}/stop`);
    const shown = await ask("GET", `/api/instances/${id}`);
    await world.advance(MINUTE);

    for (const [answer, word] of [
      [stopping, "stopping"],
      [terminated, "terminated"],
    ] as const) {
      expect([answer.status, answer.body.error]).toMatchObject([
        409,
        { code: "INSTANCE_NOT_STARTABLE", message: `Instance ${id} is ${word} and cannot be started` },
      ]);
    }
    expect([stop.status, stop.body.status, shown.body.status]).toEqual([200, "terminated", "terminated"]);
    expect((await ask("GET", `/api/instances/${id}`)).status).toBe(404);
  });

  test("by name selects the newest instance of that name that is not being deleted", async () => {
    const { world, ask, create, id, show } = await instanceWorld({ delays: { removeMs: MINUTE } });
    await world.advance(SECOND);
    const { body: newer } = await create();
    await world.advance(10 * SECOND);

    const named = { instanceName: "my-instance" };
    const stop = await ask("POST", "/api/instances/stop", named);
    await ask("DELETE", `/api/instances/${newer.instanceId}`);
    const leaving = await show(newer.instanceId);
    const start = await ask("POST", "/api/instances/start", named);

    expect(leaving.status).toBe("terminated");
    expect([stop.body.instanceId, start.body.instanceId]).toEqual([newer.instanceId, id]);
  });

  test.each<[at: string, sent: unknown, field: string, message: string]>([
    ["/api/instances/start", {}, "instanceName", "Instance name is required for name-based starting"],
    ["/api/instances/start", undefined, "instanceName", "Instance name is required for name-based starting"],
    ["/api/instances/start", { instanceName: "" }, "instanceName", "Instance name is required for name-based starting"],
    ["/api/instances/stop", {}, "instanceName", "Instance name is required for name-based stopping"],
    ["/api/instances/start", { instanceName: 5 }, "instanceName", "instanceName must be a string"],
    ["start", { targetPort: 0 }, "targetPort", "targetPort must be between 1 and 65535"],
    ["start", { healthCheckConfig: 5 }, "healthCheckConfig", "healthCheckConfig must be an object"],
    [
      "start",
      { healthCheckConfig: { timeoutMs: 1 } },
      "healthCheckConfig.timeoutMs",
      "healthCheckConfig.timeoutMs must be between 1000 and 300000",
    ],
    [
      "start",
      { healthCheckConfig: { maxWaitTimeMs: 1_800_001 } },
      "healthCheckConfig.maxWaitTimeMs",
      "healthCheckConfig.maxWaitTimeMs must be between 30000 and 1800000",
    ],
    ["stop", { webhookUrl: "x" }, "webhookUrl", "webhookUrl must be a valid http or https URL"],
    ["stop", { webhookUrl: "http://private/" }, "webhookUrl", "webhookUrl must not point to a private address"],
  ])("at %s refuses %j", async (at, sent, field, message) => {
    const { ask, id } = await instanceWorld();
    const path = at.startsWith("/") ? at : `/api/instances/${id}/${at}`;

    const { status, body } = await ask("POST", path, sent);

    expect([status, body.error.message]).toEqual([400, "Validation failed"]);
    expect(body.error.details).toMatchObject([{ field, message }]);
  });

  test("sets time and port of this run only, and the next one has the defaults again", async () => {
    const { world, ask, id, head, show } = await instanceWorld({ delays: { probeMs: 10 * MINUTE } });
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(10 * SECOND);

    const healthCheckConfig = { maxWaitTimeMs: 60_000, targetPort: 9000 };
    await ask("POST", `/api/instances/${id}/start`, { healthCheckConfig });
    const { policy, ports, labels } = head();
    await world.advance(70 * SECOND);
    const late = await show();
    await ask("POST", `/api/instances/${id}/start`);
    const next = head();

    expect(policy.readyWithinMs).toBe(60_000);
    expect(ports.map(({ port }) => port)).toEqual([22, 8888, 9000]);
    expect(JSON.parse(labels.healthCheck ?? "")).toEqual({
      timeoutMs: 30_000,
      retryAttempts: 3,
      retryDelayMs: 2_000,
      maxWaitTimeMs: 60_000,
      targetPort: 9000,
    });
    expect([late.status, late.statusReason]).toEqual(["failed", expect.stringMatching(/^Not ready after 1 minutes/)]);
    expect([next.policy.readyWithinMs, next.ports.length, next.labels.healthCheck]).toEqual([600_000, 2, undefined]);
  });
});

describe("stop", () => {
  test("keeps the storage, returns the same operation when repeated, and reports when no run exists", async () => {
    const { world, ask, id, head, show } = await instanceWorld();
    const stop = () => ask("POST", `/api/instances/${id}/stop`);

    const [first, again] = [await stop(), await stop()];
    await world.advance(10 * SECOND);
    const over = await stop();

    expect(first).toEqual({
      status: 200,
      body: {
        instanceId: id,
        novitaInstanceId: id,
        operationId,
        status: "stopping",
        message: "Instance stop initiated successfully",
      },
    });
    expect(again).toEqual(first);
    expect(over.body).toEqual({ ...first.body, status: "stopped", message: "Instance is already stopped" });
    expect(await show()).toMatchObject({ status: "stopped", statusReason: "requested", stoppedAt: expect.any(String) });
    expect(head().volumes[0]?.volume).not.toBeNull();
    expect(await world.compute.listRuns()).toEqual([]);
  });

  test("cancels a start that waits for capacity, and reports a start that failed", async () => {
    const { world, ask, id, show, create } = await instanceWorld({ nodes: [] });
    const { body } = await create();

    const stopped = await ask("POST", `/api/instances/${id}/stop`);
    const after = await show();
    await world.advance(11 * MINUTE);
    const failed = await ask("POST", `/api/instances/${body.instanceId}/stop`);

    expect([stopped.status, stopped.body.status, after.status]).toEqual([200, "stopping", "stopped"]);
    expect(failed.body).toMatchObject({ status: "failed", message: "Instance is already stopped" });
  });
});

describe("DELETE", () => {
  test("removes storage and record, in any status", async () => {
    const { world, ask, id, create, head } = await instanceWorld();
    const { body } = await create();
    await world.advance(10 * SECOND);
    const volume = head().volumes[0]?.volume?.id ?? "";
    await ask("POST", `/api/instances/${body.instanceId}/stop`);

    for (const instanceId of [id, body.instanceId]) {
      const deleted = await ask("DELETE", `/api/instances/${instanceId}`, { any: "body" });
      expect(deleted).toEqual({
        status: 200,
        body: { instanceId, status: "deleted", message: "Instance deleted successfully" },
      });
      expect((await ask("GET", `/api/instances/${instanceId}`)).status).toBe(404);
      expect((await ask("DELETE", `/api/instances/${instanceId}`)).status).toBe(404);
    }
    expect(await world.volumes.findVolume(volume)).toBeUndefined();
    expect((await ask("GET", "/api/instances")).body.total).toBe(0);
  });
});
