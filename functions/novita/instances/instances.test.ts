import { describe, expect, test } from "vitest";
import type { Item } from "#core/ports/table.ts";
import { asSealed } from "#core/store/sealed.ts";
import { plainInstance } from "#tests/fixtures/catalog-requests.ts";
import { instanceWorld } from "#tests/worlds/instance-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

describe("POST /api/instances", () => {
  test("answers at once with the documented fields, in compact JSON", async () => {
    const { world, key } = await instanceWorld({ waitMs: 0 });

    const response = await world.request("POST", "/api/instances", { key, body: plainInstance });

    const text = await response.text();
    const [, id = ""] = /"instanceId":"([^"]*)"/.exec(text) ?? [];
    expect([response.status, id]).toEqual([201, expect.stringMatching(/^inst_[a-z0-9]{12}$/)]);
    expect(text).toBe(
      `{"instanceId":"${id}","status":"creating","message":"Instance creation initiated successfully",` +
        '"estimatedReadyTime":"2026-01-20T18:05:00.000Z"}',
    );
  });

  test("estimates its start by the last forecast, as gpu-dev's estimate does", async () => {
    const { world, ask, create } = await instanceWorld({ nodes: newNodes({ a10g: 1 }) });
    await world.advance(90 * SECOND);
    const job = { image: "ubuntu", instance_type: "g5.12xlarge", gpu_count: 4, duration_hours: 8 };

    const estimate = await ask("POST", "/v1/jobs/estimate", job);
    const { body } = await create({ gpuNum: 4 });

    const startsAt = Date.parse(estimate.body.estimated_start_time);
    expect(startsAt).toBeGreaterThan(world.clock.now() + 10 * MINUTE);
    expect(Math.floor(Date.parse(body.estimatedReadyTime) / SECOND) * SECOND).toBe(startsAt + 5 * MINUTE);
  });

  test("says when it fails if that is before its estimated time, and fails then", async () => {
    const { world, create, show } = await instanceWorld({ nodes: newNodes({ a10g: 1 }) });
    await world.advance(90 * SECOND);
    const failsAt = new Date(world.clock.now() + 10 * MINUTE).toISOString();

    const { body } = await create({ gpuNum: 4 });
    const otherAnswer = await create({ gpuNum: 1 });
    await world.advance(10 * MINUTE + SECOND);

    expect(body.message).toBe(
      `Instance creation initiated successfully; it fails at ${failsAt}, before its estimated time, unless it is ready by then`,
    );
    expect(otherAnswer.body.message).toBe("Instance creation initiated successfully");
    expect((await show(body.instanceId)).status).toBe("failed");
  });

  test("creates an instance even if its estimate cannot be read", async () => {
    const isAway = { now: false };
    const { world, create, show } = await instanceWorld({
      wrap: (ports) => ({
        ...ports,
        table: {
          ...ports.table,
          getMany: async (keys) => {
            if (isAway.now) throw new Error("The table is away");
            return ports.table.getMany(keys);
          },
        },
      }),
    });
    isAway.now = true;

    const { status, body } = await create();
    isAway.now = false;

    expect(status).toBe(201);
    expect(Date.parse(body.estimatedReadyTime)).toBe(world.clock.now() + 5 * MINUTE);
    expect((await show(body.instanceId)).status).toBe("creating");
    expect(world.log.lines.map(({ event }) => event)).toContain("no estimate");
  });

  test("uses the machine of the product and the image and ports of the template", async () => {
    const { create, head } = await instanceWorld();

    const { body } = await create({ gpuNum: 2, rootfsSize: 100, region: "EU-DE-01" });

    const { size, volumes, ports, policy, labels } = head(body.instanceId);
    expect(size).toMatchObject({ pool: "a10g", instanceType: "g5.12xlarge", machines: 1, units: 2, gpus: 2 });
    expect(volumes).toMatchObject([{ name: "rootfs", path: "/workspace", sizeGb: 100 }]);
    expect(ports.map(({ port, kind }) => `${port} ${kind}`)).toEqual(["22 ssh", "8888 jupyter"]);
    expect(policy).toMatchObject({ time: "none", restarts: true, readyWithinMs: 10 * MINUTE });
    expect(policy.idle).toEqual({ afterMs: 20 * MINUTE, everyMs: 5 * MINUTE });
    expect(labels).toMatchObject({ region: "EU-DE-01", productName: "RTX 4090 24GB", templateId: "pytorch-jupyter" });
  });

  test.each([
    [4, { machines: 1, units: 4 }],
    [5, { machines: 2, units: 3 }],
    [8, { machines: 2, units: 4 }],
  ])("distributes %i GPUs over machines of 4", async (gpuNum, size) => {
    const { create, head, show } = await instanceWorld({ waitMs: 0 });

    const { body } = await create({ gpuNum });

    expect(head(body.instanceId).size).toMatchObject(size);
    expect((await show(body.instanceId)).gpuNum).toBe(gpuNum);
  });

  test("names the three required fields for {} and for no body", async () => {
    const { ask } = await instanceWorld({ waitMs: 0 });

    const [empty, none] = [await ask("POST", "/api/instances", {}), await ask("POST", "/api/instances")];

    const details = [
      { field: "name", message: "Name is required", value: null },
      { field: "productName", message: "Product name is required", value: null },
      { field: "templateId", message: "Template ID is required", value: null },
    ];
    expect(empty).toEqual({
      status: 400,
      body: {
        error: {
          code: "VALIDATION_ERROR",
          message: "Validation failed",
          details,
          timestamp: "2026-01-20T18:00:00.000Z",
          requestId: expect.any(String),
        },
      },
    });
    expect(none.body.error.details).toEqual(details);
  });

  test.each([
    [{ name: "" }, "name", "Name is required"],
    [{ name: null }, "name", "Name is required"],
    [{ name: "a b" }, "name", "Name must contain only alphanumeric characters, hyphens, and underscores"],
    [{ name: 7 }, "name", "name must be a string"],
    [{ name: "x".repeat(101) }, "name", "name is too long"],
    [{ productName: "rtx 4090 24gb" }, "productName", "Product is not in the catalogue"],
    [{ productName: "constructor" }, "productName", "Product is not in the catalogue"],
    [{ templateId: "nope" }, "templateId", "Template is not in the catalogue"],
    [{ templateId: 107672 }, "templateId", "Template is not in the catalogue"],
    [{ templateId: ["a"] }, "templateId", "templateId must be a string"],
    [{ gpuNum: 0 }, "gpuNum", "gpuNum must be between 1 and 8"],
    [{ gpuNum: 9 }, "gpuNum", "gpuNum must be between 1 and 8"],
    [{ gpuNum: 1.5 }, "gpuNum", "gpuNum must be an integer"],
    [{ gpuNum: "2" }, "gpuNum", "gpuNum must be an integer"],
    [{ rootfsSize: 19 }, "rootfsSize", "rootfsSize must be between 20 and 1000"],
    [{ rootfsSize: 1001 }, "rootfsSize", "rootfsSize must be between 20 and 1000"],
    [{ region: "MOON-01" }, "region", expect.stringContaining("Region must be one of: CN-HK-01, US-WEST-01")],
    [{ webhookUrl: "ftp://a/" }, "webhookUrl", "webhookUrl must be a valid http or https URL"],
    [{ webhookUrl: "https://u:p@a.example/" }, "webhookUrl", "webhookUrl must be a valid http or https URL"],
    [{ webhookUrl: 5 }, "webhookUrl", "webhookUrl must be a string"],
    [{ webhookUrl: "https://private.example/" }, "webhookUrl", "webhookUrl must not point to a private address"],
    [{ githubUser: "-a-" }, "githubUser", "githubUser must be the name of a GitHub user"],
  ])("refuses %j at once", async (fields, field, message) => {
    const { create, world } = await instanceWorld({ waitMs: 0 });
    const before = world.table.all().length;

    const { status, body } = await create(fields);

    expect([status, body.error.code, body.error.message]).toEqual([400, "VALIDATION_ERROR", "Validation failed"]);
    const value = field === "webhookUrl" ? "***" : Object.values(fields)[0];
    expect(body.error.details).toEqual([{ field, message, value }]);
    expect(world.table.all()).toHaveLength(before);
  });

  test("accepts comments, URLs in strings and unknown fields, but no invalid JSON", async () => {
    const { ask } = await instanceWorld({ waitMs: 0 });
    const text = `{ // a comment\n"webhookUrl": "https://your-app.com/webhook", /* more */ "other": {"x": 1},
      "name": "a", "productName": "RTX 4090 24GB", "templateId": "pytorch-jupyter" }`;

    const [good, bad, list] = [text, "{", "[]"].map((body) => ask("POST", "/api/instances", body));

    expect((await good)?.status).toBe(201);
    for (const answer of [await bad, await list]) {
      const { code, message, details } = answer?.body.error ?? {};
      expect([answer?.status, code, message, details]).toEqual([
        400,
        "VALIDATION_ERROR",
        "Invalid JSON body",
        undefined,
      ]);
    }
  });

  test("creates one instance per Idempotency-Key, and one per request without a key", async () => {
    const { world, key, ask, create } = await instanceWorld({ waitMs: 0 });
    const sent = { key, body: plainInstance, headers: { "Idempotency-Key": "k1" } };

    const first = await world.request("POST", "/api/instances", sent);
    const again = await world.request("POST", "/api/instances", sent);
    const otherResponse = await world.request("POST", "/api/instances", {
      ...sent,
      body: { ...plainInstance, gpuNum: 2 },
    });
    const problem = (await otherResponse.json()) as { readonly error: { readonly code: string } };
    const batch = await Promise.all(["worker-1", "worker-2", "worker-3"].map((name) => create({ name })));

    expect(await again.text()).toBe(await first.text());
    expect([first.status, again.status, again.headers.get("idempotency-replayed")]).toEqual([201, 201, "true"]);
    expect([otherResponse.status, problem.error.code]).toEqual([409, "IDEMPOTENCY_CONFLICT"]);
    expect(new Set(batch.map(({ body }) => body.instanceId)).size).toBe(3);
    expect((await ask("GET", "/api/instances")).body.total).toBe(5);
  });
});

describe("an instance", () => {
  test("is shown and listed without a Jupyter token that cannot be opened, with the reason", async () => {
    const { world, id, head, ask, create, show } = await instanceWorld();
    const { access } = head();
    const token = asSealed("sealed.elsewhere");
    await world.table.put({ ...head(), access: { ...access, jupyter: { ...access.jupyter, token } } } as Item);
    await create();

    const without = {
      status: "ready",
      statusReason: expect.stringMatching(
        /^Jupyter's token cannot be opened: it was sealed with another key, or changed/,
      ),
      connectionDetails: { jupyter: "http://127.0.0.1:40123/lab" },
    };
    expect(await show()).toMatchObject(without);
    const { status, body } = await ask("GET", "/api/instances");
    expect([status, body.total]).toEqual([200, 2]);
    expect(body.instances.find((instance: { id: string }) => instance.id === id)).toMatchObject(without);
  });

  test("is shown with all fields once it is ready", async () => {
    const { id, show } = await instanceWorld({ access: { sshPort: 30022 } });

    expect(await show()).toEqual({
      id,
      instanceId: id,
      name: "my-instance",
      status: "ready",
      statusReason: null,
      productName: "RTX 4090 24GB",
      templateId: "pytorch-jupyter",
      gpuNum: 1,
      rootfsSize: 60,
      region: "CN-HK-01",
      portMappings: [
        { port: 22, endpoint: "127.0.0.1:40124", type: "tcp" },
        { port: 8888, endpoint: "http://127.0.0.1:40124", type: "http" },
      ],
      connectionDetails: {
        ssh: `ssh -p 30022 ${id}@127.0.0.1`,
        jupyter: expect.stringMatching(/^http:\/\/127\.0\.0\.1:40123\/lab\?token=[\w-]{43}$/),
        webTerminal: null,
      },
      createdAt: "2026-01-20T18:00:00.000Z",
      startedAt: "2026-01-20T18:00:00.000Z",
      readyAt: expect.stringMatching(/^2026-01-20T18:00:0\d\.000Z$/),
      lastUsedAt: null,
      stoppedAt: null,
      autoStop: null,
    });
  });

  test("shows the page on its port without Jupyter, and no SSH access without SSH", async () => {
    const { show } = await instanceWorld({ access: { jupyterFault: "Jupyter is not there", sshPort: null } });

    const { status, connectionDetails } = await show();

    expect(status).toBe("ready");
    expect(connectionDetails).toEqual({ ssh: null, jupyter: "http://127.0.0.1:40124", webTerminal: null });
  });

  test("passes its states in order, can be reached only in the last, and restarts at starting", async () => {
    const delays = { imageMs: 10 * SECOND, containerMs: 10 * SECOND, probeMs: 10 * SECOND, removeMs: 8 * SECOND };
    const { world, ask, id, show } = await instanceWorld({ waitMs: 0, delays });
    const seen: unknown[] = [];
    const watch = async (seconds: number) => {
      for (let n = 0; n < seconds; n++) {
        const { status, connectionDetails, portMappings } = await show();
        expect(connectionDetails !== null).toBe(status === "ready");
        expect(portMappings.length > 0).toBe(status === "ready");
        if (seen.at(-1) !== status) seen.push(status);
        await world.advance(SECOND);
      }
    };

    await watch(60);
    await ask("POST", `/api/instances/${id}/stop`);
    await watch(30);
    await ask("POST", `/api/instances/${id}/start`);
    await watch(60);

    const steps = ["starting", "running", "health_checking", "ready"];
    expect(seen).toEqual(["creating", ...steps, "stopping", "stopped", ...steps]);
  });

  test("says why it finds no capacity, and has failed after ten minutes", async () => {
    const { world, ask, id, show } = await instanceWorld({ nodes: [] });

    const waiting = await show();
    await world.advance(10 * MINUTE);
    const over = await show();
    const again = await ask("POST", `/api/instances/${id}/start`);

    expect([waiting.status, waiting.statusReason]).toEqual(["creating", expect.stringMatching(/nodes available/)]);
    expect([over.status, over.statusReason]).toEqual(["failed", expect.stringMatching(/^Not ready after 10 minutes/)]);
    expect([again.status, again.body.status]).toEqual([202, "starting"]);
  });

  test("fails if its Jupyter cannot run, and tries it again at the next start", async () => {
    const reason = "Jupyter ended at once (exit code 9)";
    const { world, ask, id, head, show } = await instanceWorld({ waitMs: 0, access: { jupyterFault: reason } });
    world.compute.setSilent(head().uid, 8888, true);

    await world.advance(MINUTE);
    const over = await show();
    const runs = await world.compute.listRuns();
    await ask("POST", `/api/instances/${id}/start`);
    await world.advance(MINUTE);
    const again = await show();

    expect([over.status, over.statusReason, over.connectionDetails]).toEqual(["failed", reason, null]);
    expect(runs).toEqual([]);
    expect(head().volumes[0]?.volume).not.toBeNull();
    expect([head().run.n, again.status, again.statusReason]).toEqual([2, "failed", reason]);
  });

  test("tries its Jupyter again at the next start after it was given up", async () => {
    const reason = "Jupyter ended at once (exit code 9)";
    const { world, ask, id, head, show } = await instanceWorld({ access: { jupyterFault: reason } });
    const first = await show();
    world.compute.setSilent(head().uid, 8888, true);

    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(MINUTE);
    await ask("POST", `/api/instances/${id}/start`);
    await world.advance(MINUTE);
    const again = await show();

    expect(first.status).toBe("ready");
    expect([head().run.n, again.status, again.statusReason]).toEqual([2, "failed", reason]);
  });

  test("fails if its pod ends by itself, and then holds no compute", async () => {
    const { world, head, show } = await instanceWorld();
    world.compute.kill(head().uid, 1);
    await world.advance(MINUTE);

    expect(await show()).toMatchObject({ status: "failed", statusReason: expect.any(String), connectionDetails: null });
    expect(await world.compute.listRuns()).toEqual([]);
    expect(head().volumes[0]?.volume).not.toBeNull();
  });

  test.each(["{instanceId}", "inst_000000000000", "start", "INST_abc", "%", "a%20b"])(
    "is not found if it does not exist: %s",
    async (which) => {
      const { ask } = await instanceWorld({ waitMs: 0 });
      const rows = [
        ["GET", ""],
        ["POST", "/start"],
        ["POST", "/stop"],
        ["PUT", "/last-used"],
        ["DELETE", ""],
      ] as const;

      for (const [method, end] of rows) {
        if (which === "start" && method !== "GET" && method !== "DELETE") continue;
        const { status, body } = await ask(method, `/api/instances/${which}${end}`);
        expect([method, status, body.error.code]).toEqual([method, 404, "INSTANCE_NOT_FOUND"]);
        expect(body.error.message).toMatch(/^Instance .+ not found$/);
      }
    },
  );

  test("is not found by another owner", async () => {
    const { asStranger, id } = await instanceWorld();

    const answer = await asStranger("GET", `/api/instances/${id}`);
    const named = await asStranger("POST", "/api/instances/stop", { instanceName: "my-instance" });
    const gone = await asStranger("DELETE", `/api/instances/${id}`);

    expect([answer.status, answer.body.error.message]).toEqual([404, `Instance ${id} not found`]);
    expect([named.status, named.body.error.message]).toEqual([404, "Instance my-instance not found"]);
    expect(gone.status).toBe(404);
    expect((await asStranger("GET", "/api/instances")).body).toEqual({ instances: [], total: 0 });
  });

  test("refuses an unknown GitHub user, and says why a user without keys cannot log in", async () => {
    const { world, create, show } = await instanceWorld();
    const unknown = await create({ githubUser: "nobody" });
    world.githubKeys.publish("shy", "");

    const { body } = await create({ githubUser: "shy" });
    await world.advance(10 * SECOND);

    const message = "GitHub user 'nobody' not found";
    expect(unknown.status).toBe(400);
    expect(unknown.body.error.details).toEqual([{ field: "githubUser", message, value: "nobody" }]);
    expect((await show(body.instanceId)).statusReason).toBe("No SSH keys found for GitHub user 'shy'");
  });

  test("admits its GitHub user", async () => {
    const { world, create, head } = await instanceWorld();
    const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.alloc(36, "k")]);
    world.githubKeys.publish("octocat", `ssh-ed25519 ${blob.toString("base64")}\n`);

    const { body } = await create({ githubUser: "octocat" });
    await world.advance(10 * SECOND);

    const { uid } = head(body.instanceId);
    expect(world.compute.access(uid, 1)).toMatchObject({ login: body.instanceId, keys: [expect.any(String)] });
  });
});

describe("GET /api/instances", () => {
  test("lists pages, newest first, with the total", async () => {
    const { world, ask, create } = await instanceWorld();
    for (const name of ["b", "c", "d"]) {
      await create({ name });
      await world.advance(SECOND);
    }

    const all = (await ask("GET", "/api/instances")).body;
    const page = (await ask("GET", "/api/instances?limit=2&offset=1")).body;

    const namesIn = ({ instances }: typeof all) => instances.map(({ name }: { name: string }) => name);
    expect([namesIn(all), all.total]).toEqual([["d", "c", "b", "my-instance"], 4]);
    expect([namesIn(page), page.total]).toEqual([["c", "b"], 4]);
  });

  test.each([
    ["limit=0", "limit must be between 1 and 500"],
    ["limit=501", "limit must be between 1 and 500"],
    ["limit=%zz", "limit must be an integer"],
  ])("refuses %s", async (query, message) => {
    const { ask } = await instanceWorld({ waitMs: 0 });

    const { status, body } = await ask("GET", `/api/instances?${query}`);

    expect([status, body.error.details.map((detail: { message: string }) => detail.message)]).toEqual([400, [message]]);
  });
});
