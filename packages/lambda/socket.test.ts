import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { apiKeyKey, connectionKey } from "#core/store/keys.ts";
import { openSocketFixture, type SocketFixture } from "#local/server/socket-fixture.ts";
import { edgeSecret, type GatewayFixture, openGatewayFixture } from "./socket-fixture.ts";

const ID = "ws-demo-alice-1756062811";
/** Ids of API Gateway contain characters that a path must escape. */
const name = "L0SM9cOFvHcCIhw=";
const before = { ...process.env };
const path = (key: string, id = ID) => `/v1/cloudrun/workspaces/${id}/shell?api_key=${key}`;
const command = (text: string, more: object = {}) => ({ type: "command", command: text, ...more });

describe("the web shell behind API Gateway", () => {
  let fixture: SocketFixture;
  let gateway: GatewayFixture;
  let key: string;

  beforeEach(async () => {
    delete process.env.AWS_LAMBDA_FUNCTION_NAME;
    process.env.ORIGIN_SECRETS = edgeSecret;
    fixture = await openSocketFixture();
    await fixture.workspace("alice", ID);
    await fixture.world.deliver();
    // The handler uses the time of day.
    key = await fixture.key("alice", { expiresAt: Number.MAX_SAFE_INTEGER });
    gateway = await openGatewayFixture(fixture.world);
  });

  afterEach(async () => {
    process.env = { ...before };
    await Promise.all([fixture.close(), gateway.close()]);
  });

  const record = () => fixture.world.table.get(connectionKey(name));
  const connected = async (): Promise<void> => {
    await gateway.connect(name, path(key));
    await gateway.deliver();
    gateway.sent.get(name)?.splice(0);
  };
  const answers = async (...frames: (object | string)[]) => {
    for (const frame of frames) gateway.send(name, frame);
    await gateway.deliver();
    return gateway.sent.get(name)?.splice(0);
  };
  const program = (text: string, outcome: Parameters<typeof fixture.world.compute.programExec>[1]) =>
    fixture.world.compute.programExec(({ words }) => words.at(-1) === text, outcome);

  it("sends the frames that the local server sends", async () => {
    program("cd deep", { directory: "/workspace/deep" });
    program("ls", { stdout: "out\n", stderr: "err\n", exitCode: 2, directory: "/workspace/deep" });
    program("slow", { takesMs: null });
    program("lost", { exitCode: 2, stderr: "sh: 1: cd: can't cd to /workspace/deep\n" });
    const script = [
      command("cd deep"),
      command("ls"),
      command("slow", { timeout: 1 }),
      { type: "ping" },
      "{",
      command("lost"),
      { type: "dance" },
      command(" "),
      command("a\0b"),
      command("pwd"),
      { type: "exit" },
    ];
    const client = fixture.connect(path(key));
    const local = [await client.next()];
    for (const frame of script) {
      client.send(frame);
      local.push(await client.next());
    }

    await gateway.connect(name, path(key));
    for (const frame of script) gateway.send(name, frame);
    const again = await gateway.deliver();

    expect(gateway.sent.get(name)).toEqual(local);
    expect(local).toHaveLength(script.length + 1);
    expect([again, gateway.closed]).toEqual([0, [name]]);
    expect(await record()).toBeUndefined();
  });

  it("stores a connection's state and owner, and no key", async () => {
    program("cd deep", { directory: "/workspace/deep" });
    await connected();

    await answers(command("cd deep"));

    const found = await record();
    expect(found).toMatchObject({ kind: "connection", state: { id: ID, directory: "/workspace/deep" } });
    expect(found?.ttl).toBeGreaterThan(Date.now() / 1000);
    expect(JSON.stringify(found)).not.toContain(key);
  });

  it("runs a command once although its message is delivered twice, before and after its answer was stored", async () => {
    await connected();
    gateway.api.trouble([{ status: 400, body: "{}" }]);
    const message = gateway.send(name, command("once"));

    const [first, second, third] = [await gateway.deliver(), await gateway.hand(message), await gateway.hand(message)];

    expect([first, second, third]).toEqual([1, 0, 0]);
    expect(gateway.sent.get(name)).toMatchObject([{ type: "command_result", command: "once" }]);
    expect(fixture.world.compute.execs()).toHaveLength(1);
  });

  it("retries a failed frame soon, and closes its connection after the fourth failure", async () => {
    await connected();
    const message = gateway.send(name, command("once"));
    const fourth = { ...message, attributes: { ...message.attributes, ApproximateReceiveCount: "4" } };
    gateway.api.trouble([
      { status: 400, body: "{}" },
      { status: 400, body: "{}" },
    ]);

    const handedBack = [await gateway.hand(message), await gateway.hand(fourth)];

    expect([handedBack, gateway.shownSoon]).toEqual([[1, 0], [message.receiptHandle]]);
    expect([await record(), gateway.closed]).toEqual([undefined, [name]]);
  });

  it.each([
    ["413", 1, 413],
    ["429, however often it is asked", 3, 429],
  ])("closes the connection of a client that does not read, as %s shows", async (_, times, status) => {
    await connected();
    gateway.api.trouble(Array.from({ length: times }, () => ({ status, body: "{}" })));

    const again = await gateway.hand(gateway.send(name, command("once")));

    expect([again, await record(), gateway.closed]).toEqual([0, undefined, [name]]);
  });

  it("does not treat a connection as idle whose frame waited behind a long command", async () => {
    await connected();
    const found = await record();
    const usedAt = Date.now() - 700_000;
    if (found) await fixture.world.table.put({ ...found, state: { ...(found.state as object), usedAt } } as never);
    const message = gateway.send(name, command("late"));
    const attributes = { ...message.attributes, SentTimestamp: String(usedAt + 60_000) };

    await gateway.hand({ ...message, attributes });

    expect([gateway.closed, fixture.world.compute.execs().length]).toEqual([[], 1]);
  });

  it("splits a long result into frames of at most 32 KB", async () => {
    const stdout = `${"\u0001".repeat(50_000)}${"😀".repeat(50_000)}`;
    program("long", { stdout, stderr: "é".repeat(50_000) });
    await connected();

    const frames = (await answers(command("long"))) ?? [];

    const whole = (stream: string) => frames.map((frame) => frame[stream]).join("");
    expect([whole("stdout") === stdout, whole("stderr") === "é".repeat(50_000)]).toEqual([true, true]);
    expect(Math.max(...frames.map((frame) => Buffer.byteLength(JSON.stringify(frame))))).toBeLessThanOrEqual(32_768);
    expect(frames.map(({ more }) => more)).toEqual([...Array(frames.length - 1).fill(true), undefined]);
  });

  it("repeats a command of 64 KiB, and refuses a frame that could not be answered", async () => {
    program("x".repeat(65_536), { stdout: "y".repeat(50_000) });
    await connected();

    const frames = (await answers(command("x".repeat(65_536)), command("\0".repeat(17_000)))) ?? [];

    const results = frames.slice(0, -1);
    expect(results.map(({ command: text }) => String(text).length)).toEqual(results.map(() => 65_536));
    expect(results.map(({ stdout }) => stdout).join("")).toBe("y".repeat(50_000));
    expect(frames.at(-1)).toEqual({ type: "error", message: "The frame is over 98304 bytes" });
  });

  it("limits a command to the time of a Lambda", async () => {
    await connected();

    await answers(command("long", { timeout: 3_600 }));

    expect(fixture.world.compute.execs().map(({ timeoutMs }) => timeoutMs)).toEqual([840_000]);
  });

  it("is refused in its dialect's format, and stores nothing then", async () => {
    const refused = async (input: string, headers: Readonly<Record<string, string>> = {}) => {
      const { statusCode, body } = await gateway.connect(name, input, headers);
      return [statusCode, body];
    };
    const plain = `/v1/cloudrun/workspaces/${ID}/shell`;

    expect(await refused(plain)).toEqual([401, '{"detail":"Not authenticated"}']);
    expect(await refused(path("x"))).toEqual([401, '{"detail":"Invalid API key"}']);
    expect(await refused(path(key, "ws-nobody"))).toEqual([404, '{"detail":"Workspace not found"}']);
    expect(await refused("/v1/else")).toEqual([404, '{"message":"Not Found"}']);
    expect(await refused(path(key), { "X-Berth-Origin": "guessed" })).toEqual([403, '{"message":"Forbidden"}']);
    expect([await record(), await gateway.deliver(), gateway.sent.size]).toEqual([undefined, 0, 0]);
  });

  it("allows a user 32 connections, and another once one of them has ended, expired or hung up", async () => {
    const connect = async (id: string, as = key) => {
      const { statusCode, body } = await gateway.connect(id, path(as));
      return statusCode === 200 ? 200 : [statusCode, body];
    };
    const full = [409, '{"detail":"You have 32 shells open, at most 32 may be: close one first"}'];
    const ids = Array.from({ length: 32 }, (_, n) => `connection-${n}`);
    for (const id of ids) expect(await connect(id)).toBe(200);
    const second = await fixture.key("alice", { expiresAt: Number.MAX_SAFE_INTEGER });

    expect([await connect(name), await connect(name, second)]).toEqual([full, full]);
    expect(await record()).toBeUndefined();

    await gateway.disconnect("connection-0");
    expect([await connect("connection-0"), await connect(name)]).toEqual([200, full]);

    // API Gateway has not reported its end, and DynamoDB has not removed it yet.
    const late = await fixture.world.table.get(connectionKey("connection-1"));
    if (late) await fixture.world.table.put({ ...late, ttl: Math.floor(Date.now() / 1000) - 1 } as never);
    expect([await connect(name), await connect("connection-32")]).toEqual([200, full]);
  });

  it("counts concurrent connections", async () => {
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, n) => gateway.connect(`connection-${n}`, path(key))),
    );

    const answered = (status: number) => results.filter(({ statusCode }) => statusCode === status).length;
    expect([answered(200), answered(409)]).toEqual([32, 8]);
  });

  it("does not count a connection whose first message was not queued", async () => {
    gateway.breakQueue();

    expect(await gateway.connect(name, path(key))).toMatchObject({ statusCode: 500 });
    expect(await record()).toBeUndefined();
  });

  it("takes the key from the query, from a header and from before the path", async () => {
    const plain = `/v1/cloudrun/workspaces/${ID}/shell`;
    const ways = [
      [path(key), {}],
      [plain, { Authorization: `Bearer ${key}` }],
      [plain, { "X-Berth-Key": key }],
    ] as const;

    for (const [n, [input, headers]] of ways.entries()) {
      expect(await gateway.connect(`connection-${n}`, input, headers)).toMatchObject({ statusCode: 200 });
    }
  });

  it("reports a coming end and the end before the answer to the next frame, each once", async () => {
    await connected();
    await fixture.world.advance(31 * 60_000);

    const [first, second] = [await answers({ type: "ping" }), await answers({ type: "ping" })];
    await requestCancel({ ...fixture.world.as("alice"), dialect: "onmemos" }, ID);
    const last = await answers({ type: "ping" });

    expect(first).toEqual([{ type: "notice", message: "Expires in 30 minutes" }, { type: "pong" }]);
    expect(second).toEqual([{ type: "pong" }]);
    expect(last).toEqual([{ type: "notice", message: "This workspace was cancelled: Cancelled by its owner" }]);
    expect(gateway.closed).toEqual([name]);
  });

  it("closes after the key was revoked, and runs no more of its commands", async () => {
    await connected();
    const item = await fixture.world.table.get(apiKeyKey(fixture.world.ctx.ids.hash(key)));
    const revoked = { revokedAt: 1 };
    if (item) await fixture.world.table.put({ ...item, ...revoked });
    const fresh = await openGatewayFixture(fixture.world);

    // Another instance, with an empty cache of keys.
    await fresh.hand(gateway.send(name, command("late")));

    expect([await record(), fixture.world.compute.execs()]).toEqual([undefined, []]);
    await fresh.close();
  });

  it.each([
    [
      "its workspace ends",
      [{ type: "notice", message: "This workspace was cancelled: Cancelled by its owner" }],
      () => requestCancel({ ...fixture.world.as("alice"), dialect: "onmemos" }, ID),
    ],
    [
      "it was quiet for ten minutes",
      [],
      async () => {
        const found = await record();
        const quiet = { state: { ...(found?.state as object), usedAt: Date.now() - 600_001 } };
        if (found) await fixture.world.table.put({ ...found, ...quiet });
      },
    ],
  ])("closes when %s", async (_, frames, change) => {
    await connected();
    await change();

    expect(await answers(command("late"))).toEqual(frames);
    expect([gateway.closed, await record(), fixture.world.compute.execs()]).toEqual([[name], undefined, []]);
  });

  it("runs nothing for a client that hung up", async () => {
    await connected();
    gateway.send(name, command("late"));

    await gateway.disconnect(name);
    await gateway.deliver();

    expect([await record(), fixture.world.compute.execs()]).toEqual([undefined, []]);
  });

  it("welcomes a client whose connection opens after its first message arrived", async () => {
    const gone = { status: 410, body: "{}" };
    await gateway.connect(name, path(key));
    gateway.api.trouble([gone, gone]);

    await gateway.deliver();

    expect(gateway.sent.get(name)).toMatchObject([{ type: "welcome", workspace_id: ID }]);
  });

  it("refuses an event that is not from API Gateway", async () => {
    expect(await gateway.handler({ requestContext: { eventType: "MESSAGE" } })).toMatchObject({ statusCode: 400 });
  });

  it("delivers a batch from an unknown queue again, because Lambda would delete it after another answer", async () => {
    const answered = await gateway.handler({ Records: [{ messageId: "one", body: "{}" }] });

    expect(answered).toEqual({ batchItemFailures: [{ itemIdentifier: "" }] });
  });
});
