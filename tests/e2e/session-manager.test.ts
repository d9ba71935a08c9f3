import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "./processes.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const script = readFileSync(join(import.meta.dirname, "session-manager.sh"), "utf8");
const documentPath = join(root, "../shared/seeds/000-session-manager.md");
const missing = missingPrograms("bash", "curl", "grep", "cut");
const printed = { address: "http://34.46.174.78", key: "your-secure-api-key-change-in-production" };
/** Replaces 45, 10 and 30 seconds. */
const SLEEP_SECONDS = 5;
const fixture = openStackFixture("berth-session-");
let stack: StackProcess;
let key: string;

beforeAll(async () => {
  stack = await fixture.start();
  key = (await stack.env()).API_KEY ?? "";
});

afterAll(() => fixture.close());

interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
  readonly body: any;
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "X-API-Key": key, "Content-Type": "application/json" };
  const response = await fetch(`${stack.url}${path}`, {
    method,
    headers,
    ...(sent === undefined ? {} : { body: sent }),
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) };
}

async function newSession(): Promise<string> {
  const { body } = await ask("POST", "/session/create", { user_id: "user@example.com" });
  await untilStatus(body.uuid, "running");
  return body.uuid;
}

const untilStatus = (uuid: string, status: string) =>
  eventually(
    () => ask("GET", `/session/${uuid}`),
    ({ body }) => body.session?.status === status && (status !== "sleeping" || body.replicas === 0),
  );

describe("the document's test commands", () => {
  it("run from a shell as printed, with another address, another key and shorter sleeps", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const commands = script
      .replaceAll(printed.address, stack.url)
      .replaceAll(printed.key, key)
      .replaceAll(/^sleep \d+$/gm, `sleep ${SLEEP_SECONDS}`);
    writeFileSync(join(fixture.home, ".curlrc"), 'silent\nshow-error\nwrite-out = "\\n%{http_code}\\n"\n');
    const env = { PATH: process.env.PATH, HOME: fixture.home, CURL_HOME: fixture.home };

    const { code, stdout, stderr } = await runProgram("bash", ["--norc", "-eu", "-c", commands], { env });

    const [, uuid = "", workspace, rest = ""] = /^Session: (\S+)\nWorkspace: (\S+)\n([\s\S]*)$/.exec(stdout) ?? [];
    const answers = Array.from(rest.matchAll(/^(.*)\n(\d{3})\n/gm), ([, body = "", status]) => [
      status,
      JSON.parse(body),
    ]);
    const state = (replicas: number, status: string) => ({
      uuid,
      replicas,
      queue_length: 0,
      timestamp: expect.any(String),
      session: expect.objectContaining({ user_id: "test@example.com", status }),
    });
    expect({ code, stderr, uuid }).toEqual({ code: 0, stderr: "", uuid: expect.stringMatching(/^[0-9a-f]{8}$/) });
    expect(workspace).toBe(`https://vs-code-${uuid}.preview.hyperbola.in`);
    expect(answers).toEqual(
      [
        state(1, "running"),
        { uuid, action: "sleep", status: "sleeping" },
        state(0, "sleeping"),
        { uuid, action: "wake", status: "waking" },
        state(1, "running"),
        { uuid, action: "scale_up", status: "success" },
        { uuid, action: "scale_down", status: "success" },
        { uuid, status: "terminated" },
      ].map((body) => ["200", body]),
    );
    expect((await ask("GET", `/session/${uuid}/status`)).status).toBe(404);
  });

  // The document is not in the repository. It is compared if it lies beside the checkout.
  if (existsSync(documentPath)) {
    it("are transcribed as they are printed", () => {
      const document = readFileSync(documentPath, "utf8");

      const [, block] = /^## Test Commands\n+```bash\n([\s\S]*?)^```$/m.exec(document) ?? [];

      expect(script).toBe(block);
    });
  }
});

describe("a session", () => {
  it("answers messages, keeps those sent while it sleeps, and gets them in order once it is awake", async () => {
    const uuid = await newSession();

    const awake = await ask("POST", `/session/${uuid}/chat`, { message: "Hello!" });
    const long = await ask("POST", `/session/${uuid}/chat`, { message: "ä".repeat(32_768) });
    await ask("POST", `/session/${uuid}/sleep`);
    await untilStatus(uuid, "sleeping");
    const asleep = await ask("POST", `/session/${uuid}/chat`, { message: "one" });
    await ask("POST", `/session/${uuid}/chat`, { message: "two" });
    const waiting = await ask("GET", `/session/${uuid}/status`);
    const drained = await eventually(
      () => ask("GET", `/session/${uuid}/status`),
      ({ body }) => body.queue_length === 0,
    );
    const answered = await ask("GET", `/session/${uuid}/chat/3`);

    const pod_response = { reply: expect.stringContaining("Hello!") };
    expect([awake.status, awake.body]).toEqual([200, { uuid, status: "processed", pod_response, message_id: "1" }]);
    expect([long.status, long.body.pod_response.reply.length]).toEqual([200, 32_768]);
    expect([asleep.status, asleep.body]).toEqual([
      ...[202, { uuid, status: "queued", message: "Pod is waking up, message queued", message_id: "3" }],
    ]);
    expect(answered.body).toMatchObject({
      status: "answered",
      pod_response: { reply: expect.stringContaining("one") },
    });
    expect(waiting.body.queue_length).toBe(2);
    expect(drained.body).toMatchObject({ replicas: 1, session: { status: "running" } });
  });

  it("finds its files again after a sleep, and leaves them in a zip when it is deleted", async () => {
    const before = new Set(volumes());
    const uuid = await newSession();
    const [volume = ""] = volumes().filter((name) => !before.has(name));
    const file = join(fixture.home, "volumes", volume, "data/kept.txt");
    writeFileSync(file, "what was written before the sleep");

    await ask("POST", `/session/${uuid}/sleep`);
    await untilStatus(uuid, "sleeping");
    const asleep = readFileSync(file, "utf8");
    await ask("POST", `/session/${uuid}/wake`);
    await untilStatus(uuid, "running");
    const awake = readFileSync(file, "utf8");
    const deleted = await ask("DELETE", `/session/${uuid}`);
    const { body } = await ask("GET", "/session/backups");
    const { name, size_bytes } = body.backups.find((backup: { uuid: string }) => backup.uuid === uuid);
    const zip = await fetch(`${stack.url}/session/backups/${name}`, { headers: { "X-API-Key": key } });
    const bytes = Buffer.from(await zip.arrayBuffer());

    expect([asleep, awake]).toEqual([1, 2].map(() => "what was written before the sleep"));
    expect([deleted.status, deleted.body]).toEqual([200, { uuid, status: "terminated" }]);
    expect([zip.status, zip.headers.get("content-type"), bytes.length]).toEqual([200, "application/zip", size_bytes]);
    expect(bytes.subarray(0, 2).toString()).toBe("PK");
    expect(bytes.includes("kept.txt")).toBe(true);
    expect(existsSync(file)).toBe(false);
  });

  function volumes(): string[] {
    return readdirSync(join(fixture.home, "volumes")).filter((name) => name.startsWith("vol-"));
  }
});

describe("bad input", () => {
  it("is answered in the dialect's envelope, whatever it is", async () => {
    const uuid = await newSession();
    const rows: [string, string, unknown, number, string][] = [
      ["POST", "/session/create", "", 400, "user_id is required"],
      ["POST", "/session/create", "{", 400, "Invalid JSON body"],
      ["POST", "/session/create", "// a\n{}", 400, "Invalid JSON body"],
      ["POST", "/session/create", { user_id: ["x"] }, 400, "user_id must be a string"],
      ["POST", "/session/create", `{"user_id":"${"x".repeat(1_048_576)}"}`, 413, "Request body too large"],
      ["POST", `/session/${uuid}/chat`, "", 400, "message is required"],
      ["POST", `/session/${uuid}/chat?a=%zz&b=%`, { message: 1 }, 400, "message must be a string"],
      ["POST", `/session/${uuid}/scale`, { scale: "sideways" }, 400, "scale must be 'up' or 'down'"],
      ["POST", "/session/abcd1234/sleep", undefined, 404, "Session abcd1234 not found"],
      ["DELETE", "/session/abcd1234", { any: "body" }, 404, "Session abcd1234 not found"],
      ["GET", "/session/create", undefined, 404, "Session create not found"],
      ["PUT", `/session/${uuid}/chat`, {}, 405, "Method not allowed"],
      ["GET", "/session", undefined, 404, "Not found"],
    ];

    for (const [method, path, body, status, error] of rows) {
      const answer = await ask(method, path, body);
      expect([path, answer.status, answer.body]).toEqual([path, status, { error }]);
    }
    const deleted = await ask("DELETE", `/session/${uuid}?x=%`, { force: true });
    expect([deleted.status, deleted.body]).toEqual([200, { uuid, status: "terminated" }]);
  });

  it("does not end the stack when it is not even HTTP", async () => {
    const answers = [
      await raw("GET /session/a b/status HTTP/1.1\r\nHost: x\r\n\r\n"),
      await raw("POST /session/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"),
    ];

    expect(answers.every((text) => !/^HTTP\/1\.1 5/.test(text))).toBe(true);
    expect(answers[0]).toMatch(/^HTTP\/1\.1 40\d/);
    expect((await ask("GET", "/sessions")).status).toBe(200);
  });

  /** Sends exactly these bytes, half-closes the connection, and returns the answer. */
  function raw(text: string): Promise<string> {
    const { hostname, port } = new URL(stack.url);
    const parts: string[] = [];
    return new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.end(text));
      socket.on("data", (part) => parts.push(String(part)));
      socket.on("error", () => undefined).on("close", () => resolve(parts.join("")));
    });
  }
});
