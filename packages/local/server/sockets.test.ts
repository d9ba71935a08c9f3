import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { type Client, openSocketFixture, type SocketFixture, upgrade } from "./socket-fixture.ts";

const ID = "ws-demo-alice-1756062811";
const path = (key: string, id = ID) => `/v1/cloudrun/workspaces/${id}/shell?api_key=${key}`;

describe("the web shell", () => {
  let fixture: SocketFixture;
  let key: string;
  const begin = async (times: { readonly pingMs?: number } = {}) => {
    fixture = await openSocketFixture({ pollMs: 20, ...times });
    await fixture.workspace("alice", ID);
    await fixture.world.deliver();
    key = await fixture.key("alice");
  };
  beforeEach(async () => {
    await begin();
  });
  afterEach(async () => {
    await fixture.close();
  });

  const connected = async (): Promise<Client> => {
    const client = fixture.connect(path(key));
    await client.next();
    return client;
  };
  const command = (text: string, more: object = {}) => ({ type: "command", command: text, ...more });
  const program = (text: string, outcome: Parameters<typeof fixture.world.compute.programExec>[1]) =>
    fixture.world.compute.programExec(({ words }) => words.at(-1) === text, outcome);

  it("welcomes, runs a command and says goodbye, in the documented frames", async () => {
    program("ls -la", { stdout: "out\n", stderr: "err\n", exitCode: 2, directory: "/workspace" });
    const client = fixture.connect(path(key));

    const welcome = await client.next();
    client.send(command("ls -la"));
    const result = await client.next();
    client.send({ type: "exit" });

    expect(welcome).toEqual({
      type: "welcome",
      message: `Connected to workspace: ${ID}`,
      workspace_id: ID,
      current_directory: "/workspace",
    });
    expect(result).toEqual({
      type: "command_result",
      command: "ls -la",
      stdout: "out\n",
      stderr: "err\n",
      returncode: 2,
      success: false,
      current_directory: "/workspace",
    });
    expect(await client.next()).toEqual({ type: "exit", message: "Disconnecting from workspace" });
    expect(await client.closed).toBe(1000);
  });

  it("starts each command in the last directory, and in the home if that is gone", async () => {
    program("cd deep", { directory: "/workspace/deep" });
    program("slow", { takesMs: null });
    program("lost", { exitCode: 2, stderr: "sh: 1: cd: can't cd to /workspace/deep\n" });
    const client = await connected();

    const shown: unknown[] = [];
    for (const [text, more] of [["cd deep"], ["slow", { timeout: 1 }], ["lost"], ["pwd"]] as const) {
      client.send(command(text, more));
      shown.push((await client.next()).current_directory);
    }

    expect(shown).toEqual(["/workspace/deep", "/workspace/deep", "/workspace", "/workspace"]);
    const began = fixture.world.compute.execs().map(({ directory }) => directory);
    expect(began).toEqual(["/workspace", "/workspace/deep", "/workspace/deep", "/workspace"]);
  });

  it("runs the commands of a connection one after another", async () => {
    const client = await connected();
    const began: number[] = [];
    const texts = Array.from({ length: 100 }, (_, n) => `command ${n}`);
    for (const [n, text] of texts.entries()) {
      program(text, () => {
        began.push(fixture.world.clock.now());
        return { stdout: text, takesMs: (n % 3) * 1_000 };
      });
    }

    for (const text of texts) client.send(command(text));
    const results: unknown[] = [];
    for (const _ of texts) results.push((await client.next()).stdout);

    expect(results).toEqual(texts);
    expect(began).toEqual(began.toSorted((left, right) => left - right));
    for (const [n, at] of began.slice(1).entries())
      expect(at - (began[n] ?? 0)).toBeGreaterThanOrEqual((n % 3) * 1_000);
  });

  it("keeps connections and their directories separate", async () => {
    program("cd deep", { directory: "/workspace/deep" });
    const [first, second] = await Promise.all([connected(), connected()]);

    first.send(command("cd deep"));
    await first.next();
    second.send(command("pwd"));

    expect(await second.next()).toMatchObject({ current_directory: "/workspace" });
  });

  it("answers a ping at once, even while an endless command runs", async () => {
    const client = await connected();
    const started = Promise.withResolvers<void>();
    const { compute } = fixture.world;
    compute.programExec(
      () => true,
      () => {
        started.resolve();
        return { takesMs: 100 };
      },
    );

    client.send({ type: "ping" });

    expect(await client.next()).toEqual({ type: "pong" });
    client.send(command("anything"));
    await started.promise;
    client.send({ type: "ping" });
    expect([(await client.next()).type, (await client.next()).type].toSorted()).toEqual(["command_result", "pong"]);
  });

  it.each([
    ["{", "Invalid JSON"],
    ["null", "type is required"],
    ["[]", "type is required"],
    [{}, "type is required"],
    [{ type: 7 }, "type is required"],
    [{ type: "dance" }, "Unknown type: dance"],
    [{ type: "command" }, "command is required"],
    [{ type: "command", command: " " }, "command is required"],
    [{ type: "command", command: 7 }, "command is required"],
    [{ type: "command", command: "x".repeat(65_537) }, "command is over 65536 bytes"],
    [{ type: "command", command: "a\0b" }, "The command must not hold a NUL character"],
    [{ type: "command", command: "x", timeout: "soon" }, "timeout must be an integer"],
    [{ type: "command", command: "x", timeout: 1.5 }, "timeout must be an integer"],
    [{ type: "command", command: "x", timeout: 0 }, "timeout must be between 1 and 3600"],
    [{ type: "command", command: "x", timeout: 3_601 }, "timeout must be between 1 and 3600"],
  ])("answers %j with an error, and stays open", async (frame, message) => {
    const client = await connected();

    client.send(frame);

    expect(await client.next()).toEqual({ type: "error", message });
    client.send(command("still here"));
    expect(await client.next()).toMatchObject({ type: "command_result", success: true });
  });

  it("answers a binary frame like invalid JSON", async () => {
    const client = await connected();

    client.ws.send(Buffer.from(JSON.stringify({ type: "ping" })));

    expect(await client.next()).toEqual({ type: "error", message: "Invalid JSON" });
  });

  it("gives a command its own timeout, by default 300 s", async () => {
    const client = await connected();

    client.send(command("one"));
    client.send(command("two", { timeout: 3_600 }));
    await client.next();
    await client.next();

    expect(fixture.world.compute.execs().map(({ timeoutMs }) => timeoutMs)).toEqual([300_000, 3_600_000]);
  });

  it("sends a long result completely, in several frames below 1 MiB", async () => {
    const stdout = `${"\u0001".repeat(150_000)}${"😀".repeat(100_000)}`;
    program("long", { stdout, stderr: "e".repeat(100_000) });
    const client = await connected();
    const sizes: number[] = [];
    client.ws.on("message", (data) => sizes.push(String(data).length));

    client.send(command("long"));
    const frames = [await client.next()];
    while (frames.at(-1)?.more === true) frames.push(await client.next());

    const whole = (stream: string) => frames.map((frame) => frame[stream]).join("");
    expect([whole("stdout") === stdout, whole("stderr") === "e".repeat(100_000)]).toEqual([true, true]);
    expect(Math.max(...sizes)).toBeLessThan(1024 * 1024);
    expect(frames.length).toBeGreaterThan(4);
  });

  it("retries under the same id when the run cannot be reached, so that the command runs once", async () => {
    const { compute } = fixture.world;
    const { startExec } = compute;
    const names: string[] = [];
    Object.assign(compute, {
      startExec: async (...[uid, run, exec]: Parameters<typeof startExec>) => {
        await startExec(uid, run, exec);
        names.push(exec.id);
        if (names.length === 1) throw new Error("The run is silent");
      },
    });
    const client = await connected();

    client.send(command("twice"));

    expect(await client.next()).toMatchObject({ type: "command_result", success: true });
    expect(names).toEqual([names[0], names[0]]);
    expect(compute.execs()).toHaveLength(1);
  });

  it("reports that a workspace is not ready, and serves it once it is", async () => {
    await fixture.workspace("alice", "ws-demo-new-1756062812");
    const client = fixture.connect(path(key, "ws-demo-new-1756062812"));
    await client.next();

    client.send(command("early"));
    const early = await client.next();
    await fixture.world.deliver();
    client.send(command("late"));

    expect(early).toEqual({ type: "error", message: "Workspace is not ready yet" });
    expect(await client.next()).toMatchObject({ type: "command_result", success: true });
  });

  it("is refused before the upgrade without a valid key", async () => {
    const expired = await fixture.key("alice", { expiresAt: 1 });
    const statuses = async (input: string, headers: Record<string, string> = {}) =>
      fixture.ask(input, { ...upgrade, ...headers });
    const plain = `/v1/cloudrun/workspaces/${ID}/shell`;

    expect(await statuses(plain)).toEqual({ status: 401, body: '{"detail":"Not authenticated"}' });
    expect(await statuses(path("x"))).toEqual({ status: 401, body: '{"detail":"Invalid API key"}' });
    expect(await statuses(path(expired))).toEqual({ status: 401, body: '{"detail":"API key has expired"}' });
    expect(await statuses(path(key), { "X-API-Key": "bad" })).toMatchObject({ status: 401 });
    expect(fixture.sockets.count()).toBe(0);
  });

  it("is refused with a browser's session, in its cookie or in any other place", async () => {
    const session = await fixture.key("alice", { isWeb: true });
    const plain = `/v1/cloudrun/workspaces/${ID}/shell`;
    const browser = {
      Host: "berth.example",
      Origin: "https://berth.example",
      "Sec-Fetch-Site": "same-origin",
      Cookie: `__Host-berth=${session}`,
    };

    const answers = [
      await fixture.ask(plain, { ...upgrade, ...browser }),
      await fixture.ask(path(session)),
      await fixture.ask(plain, { ...upgrade, Authorization: `Bearer ${session}` }),
    ];

    expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual([
      '401 {"detail":"Not authenticated"}',
      '401 {"detail":"Invalid API key"}',
      '401 {"detail":"Invalid API key"}',
    ]);
    expect(fixture.sockets.count()).toBe(0);
  });

  it("allows a user 32 connections, and another once one of them is closed", async () => {
    const more = await fixture.key("alice");
    const clients = await Promise.all(Array.from({ length: 32 }, connected));
    const full = { status: 409, body: '{"detail":"You have 32 shells open, at most 32 may be: close one first"}' };

    expect([await fixture.ask(path(key)), await fixture.ask(path(more))]).toEqual([full, full]);
    expect(fixture.sockets.count()).toBe(32);

    await fixture.workspace("bob", "ws-demo-bob-1756062811");
    await fixture.world.deliver();
    const otherClient = fixture.connect(path(await fixture.key("bob"), "ws-demo-bob-1756062811"));
    expect(await otherClient.next()).toMatchObject({ type: "welcome" });

    clients[0]?.send({ type: "exit" });
    await clients[0]?.closed;
    await expect.poll(() => fixture.sockets.count()).toBe(32);
    expect(await (await connected()).ws.readyState).toBe(1);
  });

  it("counts concurrent connections", async () => {
    const clients = Array.from({ length: 40 }, () => fixture.connect(path(key)));

    await Promise.all(clients.map((client) => Promise.race([client.next(), client.closed])));

    expect(fixture.sockets.count()).toBe(32);
  });

  it("accepts the key in its own place and in those of other endpoints", async () => {
    const plain = `/v1/cloudrun/workspaces/${ID}/shell`;
    const ways: readonly (readonly [string, Record<string, string>])[] = [
      [path(key), {}],
      [plain, { Authorization: `Bearer ${key}` }],
      [plain, { "X-API-Key": key }],
      [`/k/${key}${plain}`, {}],
    ];

    for (const [at, headers] of ways) expect((await fixture.connect(at, headers).next()).type).toBe("welcome");
  });

  it("is not found for a workspace that is missing, ended or another owner's, nor on the path of a job", async () => {
    await fixture.workspace("bob", "ws-demo-bob-1756062813");
    await fixture.world.deliver();
    const missing = { status: 404, body: '{"detail":"Workspace not found"}' };

    expect(await fixture.ask(path(key, "ws-nobody"))).toEqual(missing);
    expect(await fixture.ask(path(key, "ws-demo-bob-1756062813"))).toEqual(missing);
    expect(await fixture.ask(`/v1/jobs/x/shell?api_key=${key}`)).toMatchObject({ status: 404 });
    expect(await fixture.ask(path(key, "%E0%A4%A"))).toEqual(missing);
    await requestCancel({ ...fixture.world.as("alice"), dialect: "onmemos" }, ID);
    expect(await fixture.ask(path(key))).toEqual(missing);
  });

  it("never logs a key", async () => {
    const client = await connected();
    await fixture.ask(path(`${key}x`));
    client.send({ type: "exit" });
    await client.closed;

    const lines = JSON.stringify(fixture.log.lines);

    expect(lines).toContain('"status":101');
    expect(lines).not.toContain(key);
  });

  it("closes with 1001 when its workspace ends", async () => {
    const client = await connected();

    await requestCancel({ ...fixture.world.as("alice"), dialect: "onmemos" }, ID);

    expect(await client.closed).toBe(1001);
  });

  it("closes with 1008 at most five seconds after its key was revoked", async () => {
    const client = await connected();

    const item = await fixture.world.table.get(apiKeyKey(fixture.world.ctx.ids.hash(key)));
    const revoked = { revokedAt: fixture.world.clock.now() };
    if (item) await fixture.world.table.put({ ...item, ...revoked });
    fixture.world.clock.advance(5_001);

    expect(await client.closed).toBe(1008);
  });

  it("closes only a connection without a command for ten minutes", async () => {
    const [quiet, busy] = await Promise.all([connected(), connected()]);
    fixture.world.clock.advance(590_000);
    busy.send(command("x"));
    await busy.next();
    fixture.world.clock.advance(11_000);

    expect(await quiet.closed).toBe(1000);
    expect(busy.ws.readyState).toBe(busy.ws.OPEN);
  });

  it("closes with 1009 at a frame over 1 MiB", async () => {
    const client = await connected();

    client.send(command("x".repeat(1024 * 1024)));

    expect(await client.closed).toBe(1009);
  });

  it("disconnects only a client that does not answer pings", async () => {
    await fixture.close();
    await begin({ pingMs: 200 });
    const [client, deaf] = await Promise.all([connected(), connected()]);
    stopReading(deaf);

    for (let tries = 0; tries < 3_000 && fixture.sockets.count() > 1; tries += 1) await sleep(20);

    expect(fixture.sockets.count()).toBe(1);
    client.send({ type: "ping" });
    expect(await client.next()).toEqual({ type: "pong" });
  });

  it("disconnects a client that does not read its results, and buffers only some of them", async () => {
    const patient = await openSocketFixture();
    await patient.workspace("alice", ID);
    await patient.world.deliver();
    const much = "x".repeat(1024 * 1024);
    patient.world.compute.programExec(() => true, { stdout: much, stderr: much });
    const client = patient.connect(path(await patient.key("alice")));
    await client.next();
    stopReading(client);

    for (let n = 0; n < 100; n += 1) client.send(command("much"));
    for (let tries = 0; tries < 3_000 && patient.sockets.count() > 0; tries += 1) await sleep(20);

    expect(patient.sockets.count()).toBe(0);
    expect(patient.world.compute.execs().length).toBeLessThan(30);
    await patient.close();
  });
});

/** Stops reading, so sent data stays in the network. */
function stopReading({ ws }: Client): void {
  (ws as unknown as { readonly _socket: { pause(): void } })._socket.pause();
}
