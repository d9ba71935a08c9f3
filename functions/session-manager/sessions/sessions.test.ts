import { describe, expect, test } from "vitest";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

type Body = ReturnType<typeof JSON.parse>;

/** A world in which sessions find room, and a session that is awake. */
async function sessionWorld(options: Parameters<typeof httpWorld>[0] = {}) {
  const world = await httpWorld({ nodes: newNodes({ "cpu-shared": 2 }), ...options });
  const key = await world.login();
  const ask = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }> => {
    const response = await world.request(method, path, { key, body });
    return { status: response.status, body: await response.json() };
  };
  const created = await ask("POST", "/session/create", { user_id: "user@example.com" });
  const { uuid } = created.body;
  await world.advance(10_000);
  const state = async () => (await ask("GET", `/session/${uuid}/status`)).body;
  return { world, key, ask, created, uuid: String(uuid), state, head: () => getHead(world, uuid) };
}

/** A session that was deleted, whose zip has 4.5 MB by its record. */
async function largeZip() {
  const made = await sessionWorld();
  await made.ask("DELETE", `/session/${made.uuid}`);
  const stored = made.world.table.all().find(({ kind }) => kind === "archive");
  if (!stored) throw new Error("No archive");
  await made.world.table.put({ ...stored, bytes: 4_500_000 } as typeof stored);
  return made;
}

function getHead(world: HttpWorld, uuid: string) {
  const item = world.table.all().find(({ kind, id }) => kind === "environment" && id === uuid);
  if (!item) throw new Error("No head");
  return parseEnvironment(item);
}

describe("POST /session/create", () => {
  test("answers at once with the documented fields, in compact JSON and with one uuid", async () => {
    const { world, key } = await sessionWorld();

    const response = await world.request("POST", "/session/create", { key, body: { user_id: "user@example.com" } });

    const text = await response.text();
    const [, uuid = ""] = /"uuid":"([^"]*)"/.exec(text) ?? [];
    expect(response.status).toBe(201);
    expect(uuid).toMatch(/^[0-9a-f]{8}$/);
    expect(text).toBe(
      `{"uuid":"${uuid}","workspace_url":"http://vs-code-${uuid}.preview.localhost","status":"created",` +
        '"user_id":"user@example.com","created_at":"2026-01-20T18:00:10Z"}',
    );
  });

  test.each(["nodeport", "none"] as const)(
    "says with ACCESS=%s that no address leads to the workspace",
    async (userAccess) => {
      const { created, ask, state } = await sessionWorld({ settings: { userAccess } });

      const listed = (await ask("GET", "/sessions")).body.sessions;

      const warning = `The workspace cannot be reached: this deployment serves no pages (ACCESS=${userAccess})`;
      const shown = [created.body, (await state()).session, ...listed];
      expect(shown).toMatchObject(Array(3).fill({ workspace_url: null, warning }));
    },
  );

  test("requests a pod of one CPU and one GiB with a volume and a port, in two units", async () => {
    const { head, state } = await sessionWorld();

    const { size, resources, volumes, ports, policy, labels, name, access } = head();

    expect({ pool: size.pool, units: size.units, resources }).toEqual({
      pool: "cpu-shared",
      units: 2,
      resources: { cpus: 1, memoryMb: 1024 },
    });
    expect(volumes).toMatchObject([{ name: "workspace", path: "/workspace", sizeGb: 5 }]);
    expect(ports).toEqual([{ port: 8080, kind: "http" }]);
    expect(policy).toMatchObject({ time: "none", restarts: true, idle: null, archives: "workspace" });
    expect([labels, `${name}${access.login}`.includes("user")]).toEqual([{ user_id: "user@example.com" }, false]);
    expect(await state()).toMatchObject({ replicas: 1, queue_length: 0 });
  });

  test.each([
    [{}, "user_id is required"],
    [undefined, "user_id is required"],
    [{ user_id: "" }, "user_id is required"],
    [{ user_id: null }, "user_id is required"],
    [{ user_id: 7 }, "user_id must be a string"],
    [{ user_id: ["a"] }, "user_id must be a string"],
    [{ user_id: "x".repeat(321) }, "user_id is too long"],
    [{ user_id: "a\r\nb" }, "user_id must not contain control characters"],
    [{ user_id: "a\n" }, "user_id must not contain control characters"],
    [{ user_id: "\u001b[2J" }, "user_id must not contain control characters"],
    [{ user_id: "\u0085" }, "user_id must not contain control characters"],
    ["{", "Invalid JSON body"],
    ["[]", "Invalid JSON body"],
  ])("refuses %j", async (body, error) => {
    const { ask } = await sessionWorld();

    expect(await ask("POST", "/session/create", body)).toEqual({ status: 400, body: { error } });
  });

  test("accepts any 320 characters, and unknown fields", async () => {
    const { ask } = await sessionWorld();
    const user_id = 'ä"<😀>'.repeat(40).slice(0, 320);

    const { status, body } = await ask("POST", "/session/create", { user_id, more: { x: 1 } });

    expect([status, body.user_id]).toEqual([201, user_id]);
  });

  test("creates one session per Idempotency-Key", async () => {
    const { world, key, ask } = await sessionWorld();
    const sent = { key, body: { user_id: "again" }, headers: { "Idempotency-Key": "k1" } };

    const [first, again] = [
      await world.request("POST", "/session/create", sent),
      await world.request("POST", "/session/create", sent),
    ];

    expect([first.status, again.status, again.headers.get("idempotency-replayed")]).toEqual([201, 201, "true"]);
    expect(await again.text()).toBe(await first.text());
    expect((await ask("GET", "/sessions")).body.total).toBe(2);
  });

  test("uses another id if the chosen one is in use", async () => {
    const { world, created } = await sessionWorld();
    const stranger = await world.login(second);
    const { uuid } = created.body;
    const ids = world.ctx.ids as { uid: () => string };
    const fresh = ids.uid;
    let input = 0;
    ids.uid = () => (input++ === 0 ? `${uuid}${"0".repeat(24)}` : fresh());

    const response = await world.request("POST", "/session/create", { key: stranger, body: { user_id: "other" } });

    const body = (await response.json()) as Body;
    expect(response.status).toBe(201);
    expect(body.uuid).toMatch(/^[0-9a-f]{8}$/);
    expect(body.uuid).not.toBe(uuid);
    expect(input).toBeGreaterThan(2);
  });
});

describe("status", () => {
  test("reports the current state without changing it", async () => {
    const { world, ask, uuid } = await sessionWorld();

    const { status, body } = await ask("GET", `/session/${uuid}/status`);
    const writers = world.table.all().map((item) => [item.pk, item.writers]);
    const whole = await ask("GET", `/session/${uuid}`);

    expect([status, body]).toEqual([
      200,
      {
        uuid,
        replicas: 1,
        queue_length: 0,
        session: {
          user_id: "user@example.com",
          workspace_url: `http://vs-code-${uuid}.preview.localhost`,
          status: "running",
          created_at: "2026-01-20T18:00:00Z",
          last_activity: "2026-01-20T18:00:00Z",
        },
        timestamp: "2026-01-20T18:00:10Z",
      },
    ]);
    expect(whole.body).toEqual(body);
    expect(world.table.all().map((item) => [item.pk, item.writers])).toEqual(writers);
  });

  test("passes the phases created, running, sleeping, waking and running", async () => {
    const { world, ask, uuid, state } = await sessionWorld({ delays: { imageMs: 20_000, removeMs: 3_000 } });
    const seen: unknown[] = [];
    const tell = async () => {
      const { replicas, session } = await state();
      seen.push([replicas, session.status]);
    };

    await tell();
    await world.advance(20_000);
    await tell();
    await ask("POST", `/session/${uuid}/sleep`);
    await tell();
    await world.advance(10_000);
    await tell();
    await ask("POST", `/session/${uuid}/wake`);
    await world.advance(10_000);
    await tell();
    await world.advance(20_000);
    await tell();

    expect(seen).toEqual([
      [1, "created"],
      [1, "running"],
      [1, "sleeping"],
      [0, "sleeping"],
      [1, "waking"],
      [1, "running"],
    ]);
  });

  test("is failed if the session could not start, and wake tries again", async () => {
    const { world, ask, uuid, state, head } = await sessionWorld();
    const { uid } = head();
    world.compute.kill(uid, 1);
    await world.advance(60_000);

    const broken = await state();
    await ask("POST", `/session/${uuid}/wake`);
    await world.advance(10_000);

    expect([broken.replicas, broken.session.status]).toEqual([0, "failed"]);
    expect(await state()).toMatchObject({ replicas: 1, session: { status: "running" } });
  });

  test("is created, without a replica, while no machine has room", async () => {
    const { state } = await sessionWorld({ nodes: [] });

    expect(await state()).toMatchObject({ replicas: 0, session: { status: "created" } });
  });
});

describe("sleep and wake", () => {
  test("keep the volume, and can be repeated without effect", async () => {
    const { world, ask, uuid, head, state } = await sessionWorld();
    const volume = head().volumes[0]?.volume?.id ?? "";

    const slept = [await ask("POST", `/session/${uuid}/sleep`), await ask("POST", `/session/${uuid}/sleep`)];
    await world.advance(10_000);
    const asleep = await state();
    const kept = await world.volumes.findVolume(volume);
    const woken = [await ask("POST", `/session/${uuid}/wake`), await ask("POST", `/session/${uuid}/wake`)];
    await world.advance(10_000);

    const sleeping = { uuid, action: "sleep", status: "sleeping" };
    const waking = { uuid, action: "wake", status: "waking" };
    expect(slept).toEqual([sleeping, sleeping].map((body) => ({ status: 200, body })));
    expect(woken).toEqual([waking, waking].map((body) => ({ status: 200, body })));
    expect([asleep.replicas, kept?.id]).toEqual([0, volume]);
    expect(head()).toMatchObject({ phase: "active", run: { n: 2 } });
    expect(world.compute.mounting(volume)).toEqual([{ uid: head().uid, run: 2 }]);
  });

  test("apply in the order of their acceptance: the last one wins", async () => {
    const { world, ask, uuid, head } = await sessionWorld();

    for (const verb of ["sleep", "wake", "sleep", "wake"]) await ask("POST", `/session/${uuid}/${verb}`);
    await world.advance(60_000);
    const awake = head().phase;
    for (const verb of ["wake", "sleep"]) await ask("POST", `/session/${uuid}/${verb}`);
    await world.advance(60_000);

    expect([awake, head().phase]).toEqual(["active", "stopped"]);
  });
});

describe("scale", () => {
  test.each([
    [{ scale: "up" }, "scale_up", { cpus: 2, memoryMb: 2048 }],
    [{}, "scale_up", { cpus: 2, memoryMb: 2048 }],
    [undefined, "scale_up", { cpus: 2, memoryMb: 2048 }],
    [{ scale: "down" }, "scale_down", { cpus: 1, memoryMb: 1024 }],
  ])("%j is %s", async (sent, action, resources) => {
    const { world, ask, uuid, head } = await sessionWorld();

    const answered = await ask("POST", `/session/${uuid}/scale`, sent);
    await world.advance(10_000);

    expect(answered).toEqual({ status: 200, body: { uuid, action, status: "success" } });
    expect(head()).toMatchObject({ phase: "active", run: { n: 1, resized: resources }, resources });
  });

  test("during sleep applies to the next wake", async () => {
    const { world, ask, uuid, head } = await sessionWorld();
    await ask("POST", `/session/${uuid}/sleep`);
    await world.advance(10_000);

    const { status } = await ask("POST", `/session/${uuid}/scale`, { scale: "up" });
    await ask("POST", `/session/${uuid}/wake`);
    await world.advance(10_000);

    expect(status).toBe(200);
    expect(head()).toMatchObject({ phase: "active", run: { n: 2, resized: { cpus: 2, memoryMb: 2048 } } });
  });

  test.each(["UP", "", 2, ["up"]])("refuses %j", async (scale) => {
    const { ask, uuid } = await sessionWorld();

    const answered = await ask("POST", `/session/${uuid}/scale`, { scale });

    expect(answered).toEqual({ status: 400, body: { error: "scale must be 'up' or 'down'" } });
  });
});

describe("chat", () => {
  test("is processed with the pod's answer by a session that is awake", async () => {
    const { world, ask, uuid, head, state } = await sessionWorld();

    const answered = await ask("POST", `/session/${uuid}/chat`, { message: "Hi" });

    const pod_response = { reply: "Hi" };
    expect(answered).toEqual({ status: 200, body: { uuid, status: "processed", pod_response, message_id: "1" } });
    expect(world.compute.posts(head().uid).map(({ request }) => request.path)).toEqual(["/chat"]);
    expect((await state()).queue_length).toBe(0);
  });

  test.each([
    ["no JSON", { status: 200, body: "<html>" }],
    ["an error", { status: 500, body: "{}" }],
  ])("answers null if the pod's answer is %s", async (_, reply) => {
    const { world, ask, uuid, head } = await sessionWorld();
    world.compute.answerPosts(head().uid, () => reply);

    const { status, body } = await ask("POST", `/session/${uuid}/chat`, { message: "Hi" });

    expect([status, body]).toEqual([200, { uuid, status: "processed", pod_response: null, message_id: "1" }]);
  });

  test("is queued within 5 s if the session does not answer", async () => {
    const { world, ask, uuid, head, state } = await sessionWorld();
    world.compute.answerPosts(head().uid, () => {
      throw new Error("connect ECONNREFUSED");
    });
    const begun = world.clock.now();

    const { status, body } = await ask("POST", `/session/${uuid}/chat`, { message: "Hi" });

    const message = "Pod has not answered yet, message queued";
    expect([status, body]).toEqual([202, { uuid, status: "queued", message, message_id: "1" }]);
    expect(world.clock.now() - begun).toBeLessThan(6_000);
    expect((await state()).queue_length).toBe(1);
  });

  test("wakes a sleeping session, and its messages arrive in order", async () => {
    const { world, ask, uuid, head, state } = await sessionWorld();
    await ask("POST", `/session/${uuid}/sleep`);
    await world.advance(10_000);

    const queued = await ask("POST", `/session/${uuid}/chat`, { message: "one" });
    await ask("POST", `/session/${uuid}/chat`, { message: "two" });
    const { queue_length } = await state();
    await world.advance(30_000);

    const message = "Pod is waking up, message queued";
    expect(queued).toEqual({ status: 202, body: { uuid, status: "queued", message, message_id: "1" } });
    expect(queue_length).toBe(2);
    expect(await state()).toMatchObject({ replicas: 1, queue_length: 0, session: { status: "running" } });
    expect(world.compute.posts(head().uid).map(({ request }) => request.body)).toEqual([
      '{"message":"one"}',
      '{"message":"two"}',
    ]);
  });

  test("keeps the answer to a queued message for 24 hours, under the message's id", async () => {
    const { world, ask, uuid } = await sessionWorld();
    await ask("POST", `/session/${uuid}/sleep`);
    await world.advance(10_000);
    const { body: queued } = await ask("POST", `/session/${uuid}/chat`, { message: "one" });
    const path = `/session/${uuid}/chat/${queued.message_id}`;

    const before = await ask("GET", path);
    await world.advance(30_000);
    const after = await ask("GET", path);
    await world.advance(24 * 3_600_000);
    const late = await world.request("GET", path, { key: await world.login() });

    const message = { uuid, message_id: "1" };
    expect(before).toEqual({
      status: 200,
      body: { ...message, pod_response: null, status: "waiting", error: null },
    });
    expect(after).toEqual({
      status: 200,
      body: { ...message, pod_response: { reply: "one" }, status: "answered", error: null },
    });
    expect([late.status, await late.json()]).toEqual([
      200,
      { ...message, pod_response: null, status: "expired", error: "Answers are kept for 24 hours" },
    ]);
  });

  test("reports a message that got an error, or was dropped by a sleep, as failed with the reason", async () => {
    const { world, ask, uuid, head } = await sessionWorld();
    world.compute.answerPosts(head().uid, () => ({ status: 500, body: "{}" }));
    await ask("POST", `/session/${uuid}/chat`, { message: "one" });
    world.compute.answerPosts(head().uid, () => {
      throw new Error("not now");
    });
    await ask("POST", `/session/${uuid}/chat`, { message: "two" });
    await ask("POST", `/session/${uuid}/sleep`);
    await world.advance(10_000);

    const read = async (id: number) => (await ask("GET", `/session/${uuid}/chat/${id}`)).body;

    const failed = { pod_response: null, status: "failed" };
    expect(await read(1)).toMatchObject({ ...failed, error: "The pod answered with an error, or with no JSON" });
    expect(await read(2)).toMatchObject({ ...failed, error: "The session slept before it got the message" });
  });

  test("shows an answer of JSON null as answered", async () => {
    const { world, ask, uuid, head } = await sessionWorld();
    world.compute.answerPosts(head().uid, () => ({ status: 200, body: "null" }));
    await ask("POST", `/session/${uuid}/chat`, { message: "one" });

    const { body } = await ask("GET", `/session/${uuid}/chat/1`);

    expect(body).toEqual({ uuid, message_id: "1", pod_response: null, status: "answered", error: null });
  });

  test("shows a message only to its owner, and no unknown id", async () => {
    const { world, ask, uuid } = await sessionWorld();
    await ask("POST", `/session/${uuid}/chat`, { message: "one" });
    const key = await world.login(second);

    const otherResponse = await world.request("GET", `/session/${uuid}/chat/1`, { key });
    const ids = ["0", "2", "01", "1.0", "-1", "1e0", "x".repeat(100), "999999999999"];
    const answers = await Promise.all(ids.map((id) => ask("GET", `/session/${uuid}/chat/${id}`)));

    expect([otherResponse.status, await otherResponse.json()]).toEqual([404, { error: `Session ${uuid} not found` }]);
    const unknown = ids.map((id) => ({ status: 404, body: { error: `Message ${id.slice(0, 64)} not found` } }));
    expect(answers).toEqual(unknown);
  });

  test("stores neither messages nor answers in clear", async () => {
    const { world, ask, uuid, head } = await sessionWorld();
    world.compute.answerPosts(head().uid, () => ({ status: 200, body: '{"reply":"my-answer"}' }));
    const stored: string[] = [];
    const { put } = world.table;
    const watching: typeof put = async (item, options) => {
      if ("kind" in item && item.kind === "message") stored.push(JSON.stringify(item));
      await put(item, options);
    };
    Object.assign(world.table, { put: watching });

    const { body } = await ask("POST", `/session/${uuid}/chat`, { message: "my-secret" });

    expect(body.pod_response).toEqual({ reply: "my-answer" });
    expect(stored).toHaveLength(2);
    expect(stored.filter((item) => /my-secret|my-answer/.test(item))).toEqual([]);
  });

  test("counts waiting messages, and sleep drops them", async () => {
    const { world, ask, uuid, head, state } = await sessionWorld();
    world.compute.answerPosts(head().uid, () => {
      throw new Error("not now");
    });
    await ask("POST", `/session/${uuid}/chat`, { message: "one" });
    await ask("POST", `/session/${uuid}/chat`, { message: "two" });

    const before = await state();
    await ask("POST", `/session/${uuid}/sleep`);
    const after = await state();

    expect([before.queue_length, after.queue_length]).toEqual([2, 0]);
  });

  test("updates last_activity, at most once a minute", async () => {
    const { world, ask, uuid, state } = await sessionWorld();
    const start = world.clock.now() + 3_600_000;
    const chatAt = async (ms: number) => {
      await world.advance(ms - world.clock.now());
      await ask("POST", `/session/${uuid}/chat`, { message: "Hi" });
      return Date.parse((await state()).session.last_activity);
    };

    const shown = [await chatAt(start), await chatAt(start + 60_000), await chatAt(start + 61_000)];

    expect(shown.map((at) => at - start)).toEqual([0, 0, 61_000]);
  });

  test("counts as activity", async () => {
    const { world, ask, uuid, state } = await sessionWorld();
    await world.advance(3_600_000);

    await ask("POST", `/session/${uuid}/chat`, { message: "Hi" });

    expect((await state()).session.last_activity).toMatch(/^2026-01-20T19:00:/);
  });

  test.each([
    [{}, "message is required"],
    [undefined, "message is required"],
    [{ message: "" }, "message is required"],
    [{ message: null }, "message is required"],
    [{ message: 1 }, "message must be a string"],
    [{ message: "x".repeat(65_537) }, "message is too long"],
    [{ message: "ä".repeat(32_769) }, "message is too long"],
  ])("refuses %#", async (body, error) => {
    const { ask, uuid } = await sessionWorld();

    expect(await ask("POST", `/session/${uuid}/chat`, body)).toEqual({ status: 400, body: { error } });
  });

  test("accepts 64 KiB", async () => {
    const { ask, uuid } = await sessionWorld();

    const { status } = await ask("POST", `/session/${uuid}/chat`, { message: "ä".repeat(32_768) });

    expect(status).toBe(200);
  });
});

describe("an invalid list of messages", () => {
  /** A session that took a message, and whose list of them is now like this. */
  async function spoiltWorld(how: object) {
    const session = await sessionWorld();
    const { world, ask, uuid } = session;
    await ask("POST", `/session/${uuid}/chat`, { message: "hello" });
    await world.advance(10_000);
    const inbox = world.table.all().find(({ kind }) => kind === "inbox");
    if (!inbox) throw new Error("No inbox");
    await world.table.put({ ...inbox, writers: ["hand"], ...how }, { ifWriter: String(inbox.writers[0]) });
    const statusOf = async (method: string, path: string) => (await ask(method, path)).status;
    return { ...session, statusOf };
  }

  test("does not prevent sleep, wake, reads or deletion of the session", async () => {
    const { world, uuid, statusOf, state } = await spoiltWorld({ settled: "one" });

    const answered = [await statusOf("POST", `/session/${uuid}/sleep`)];
    await world.advance(30_000);
    const asleep = await state();
    answered.push(await statusOf("POST", `/session/${uuid}/wake`));
    await world.advance(30_000);
    answered.push(await statusOf("GET", `/session/${uuid}`), await statusOf("DELETE", `/session/${uuid}`));

    expect([answered, asleep]).toMatchObject([[200, 200, 200, 200], { replicas: 0, queue_length: 0 }]);
  });

  test("of a newer version refuses only a sleep, which would leave its waiting messages behind", async () => {
    const { uuid, statusOf, state } = await spoiltWorld({ format: 2 });

    const answered = [await statusOf("POST", `/session/${uuid}/sleep`), (await state()).replicas];
    answered.push(await statusOf("POST", `/session/${uuid}/wake`), await statusOf("DELETE", `/session/${uuid}`));

    expect(answered).toEqual([503, 1, 200, 200]);
  });
});

describe("DELETE /session/{uuid}", () => {
  test("keeps a zip of the volume, and removes the rest", async () => {
    const { world, key, ask, uuid, head } = await sessionWorld();
    const volume = head().volumes[0]?.volume?.id ?? "";

    const answered = await ask("DELETE", `/session/${uuid}`);
    const backups = (await ask("GET", "/session/backups")).body;
    const name = backups.backups[0]?.name;
    const zip = await world.request("GET", `/session/backups/${name}`, { key });

    expect(answered).toEqual({ status: 200, body: { uuid, status: "terminated" } });
    expect(await world.volumes.findVolume(volume)).toBeUndefined();
    expect(backups).toMatchObject({ total: 1, backups: [{ uuid, status: "completed" }] });
    expect(name).toMatch(new RegExp(`^workspace-${uuid}-20260120-1800\\d\\d\\.zip$`));
    expect([zip.status, zip.headers.get("content-type")]).toEqual([200, "application/zip"]);
    expect(zip.headers.get("content-disposition")).toBe(`attachment; filename="${name}"`);
    expect((await zip.arrayBuffer()).byteLength).toBe(backups.backups[0]?.size_bytes);
  });

  test("answers with a URL for a zip that is too large for an answer of Lambda, if URLs are available", async () => {
    const { world, key, ask } = await largeZip();
    const name = (await ask("GET", "/session/backups")).body.backups[0]?.name;
    const bytesHere = await world.request("GET", `/session/backups/${name}`, { key });
    world.blobs.serveFrom("https://blobs.example");

    const zip = await world.request("GET", `/session/backups/${name}`, { key });
    const others = await world.request("GET", `/session/backups/${name}`, { key: await world.login(second) });

    expect(bytesHere.status).toBe(200);
    expect([zip.status, await zip.text()]).toEqual([302, ""]);
    const { origin, searchParams } = new URL(zip.headers.get("location") ?? "");
    expect([origin, ...searchParams.values()]).toEqual(["https://blobs.example", "application/zip", name]);
    expect(JSON.stringify(world.log.lines)).not.toContain("blobs.example");
    expect([others.status, others.headers.get("location")]).toEqual([404, null]);
  });

  test("keeps a zip of a sleeping session as well", async () => {
    const { world, ask, uuid } = await sessionWorld();
    await ask("POST", `/session/${uuid}/sleep`);
    await world.advance(10_000);

    await ask("DELETE", `/session/${uuid}`);

    expect((await ask("GET", "/session/backups")).body.total).toBe(1);
  });

  test("keeps no zip if backups are turned off", async () => {
    const { ask, uuid, head } = await sessionWorld({ settings: { sessionBackup: false } });

    const { status } = await ask("DELETE", `/session/${uuid}`);

    expect([status, head().phase]).toEqual([200, "deleted"]);
    expect((await ask("GET", "/session/backups")).body.total).toBe(0);
  });

  test("is final from the answer on, even while the removal continues", async () => {
    const { world, ask, uuid } = await sessionWorld({ delays: { removeMs: 300_000 } });
    const begun = world.clock.now();

    const deleted = await ask("DELETE", `/session/${uuid}`);
    const took = world.clock.now() - begun;
    const input = [
      await ask("GET", `/session/${uuid}/status`),
      await ask("GET", `/session/${uuid}`),
      ...(await Promise.all(["sleep", "wake", "scale"].map((verb) => ask("POST", `/session/${uuid}/${verb}`)))),
      await ask("POST", `/session/${uuid}/chat`, { message: "Hi" }),
      await ask("DELETE", `/session/${uuid}`),
    ];

    expect(deleted.status).toBe(200);
    expect(took).toBeLessThanOrEqual(26_000);
    expect(input).toEqual(input.map(() => ({ status: 404, body: { error: `Session ${uuid} not found` } })));
    expect((await ask("GET", "/sessions")).body).toEqual({ total: 0, sessions: [] });
  });
});

describe("a missing session", () => {
  const verbs = [
    ["GET", ""],
    ["DELETE", ""],
    ["GET", "/status"],
    ["POST", "/sleep"],
    ["POST", "/wake"],
    ["POST", "/scale"],
    ["POST", "/chat"],
  ] as const;

  test.each(verbs)("%s /session/{uuid}%s is 404 for an invalid id and for another owner", async (method, verb) => {
    const { world, ask, uuid } = await sessionWorld();
    const stranger = await world.login(second);
    const body = verb === "/chat" ? { message: "Hi" } : undefined;

    for (const id of ["abcd1234", "create", "{uuid}", "ABCD1234", "x".repeat(100), "a b", "..%2f", "<b>"]) {
      const seen = await ask(method, `/session/${encodeURIComponent(id)}${verb}`, body);
      expect(seen).toEqual({ status: 404, body: { error: `Session ${id.slice(0, 64)} not found` } });
    }
    const others = await world.request(method, `/session/${uuid}${verb}`, { key: stranger, body });
    expect([others.status, await others.json()]).toEqual([404, { error: `Session ${uuid} not found` }]);
  });

  test.each(["x", "workspace-abcd1234-20260120-180000.zip", "..%2f..%2fsealer", "workspace-abcd1234.zip"])(
    "the backup %s is 404",
    async (name) => {
      const { ask } = await sessionWorld();

      const { status, body } = await ask("GET", `/session/backups/${name}`);

      expect([status, body]).toEqual([404, { error: `Backup ${decodeURIComponent(name)} not found` }]);
    },
  );

  test("unknown paths and wrong methods have their own answers", async () => {
    const { ask, world, uuid, key } = await sessionWorld();

    const unknown = await ask("GET", `/session/${uuid}/nothing`);
    const slash = await ask("GET", "/sessions/");
    const method = await world.request("PUT", `/session/${uuid}/chat`, { key });

    expect(unknown).toEqual({ status: 404, body: { error: "Not found" } });
    expect(slash.status).toBe(404);
    expect([method.status, method.headers.get("allow"), await method.json()]).toEqual([
      ...[405, "POST", { error: "Method not allowed" }],
    ]);
  });
});

describe("GET /sessions", () => {
  test("lists only the caller's sessions, newest first", async () => {
    const { world, ask, uuid } = await sessionWorld();
    const newer = (await ask("POST", "/session/create", { user_id: "b" })).body.uuid;
    const stranger = await world.login(second);

    const ownBody = (await ask("GET", "/sessions")).body;
    const others = await (await world.request("GET", "/sessions", { key: stranger })).json();

    expect(ownBody).toEqual({
      total: 2,
      sessions: [
        expect.objectContaining({ uuid: newer, user_id: "b", status: "created" }),
        {
          uuid,
          user_id: "user@example.com",
          workspace_url: `http://vs-code-${uuid}.preview.localhost`,
          status: "running",
          created_at: "2026-01-20T18:00:00Z",
          last_activity: "2026-01-20T18:00:00Z",
        },
      ],
    });
    expect(others).toEqual({ total: 0, sessions: [] });
  });
});

test("a missing key is answered in this dialect's words, and a key is read from X-API-Key", async () => {
  const { world, key, uuid } = await sessionWorld();

  const none = await world.request("GET", `/session/${uuid}/status`);
  const bad = await world.request("GET", `/session/${uuid}/status`, { headers: { "X-API-Key": "x".repeat(40) } });
  const good = await world.request("GET", `/session/${uuid}/status`, { headers: { "X-API-Key": key } });

  expect([none.status, await none.json()]).toEqual([
    ...[401, { error: "API key required", message: "Include X-API-Key header" }],
  ]);
  expect([bad.status, await bad.json()]).toEqual([401, { error: "Invalid API key" }]);
  expect(good.status).toBe(200);
});
