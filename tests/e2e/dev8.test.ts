import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "./processes.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const script = readFileSync(join(import.meta.dirname, "dev8.sh"), "utf8");
const examples = readFileSync(join(import.meta.dirname, "dev8.http"), "utf8").split("###\n");
const documentPath = join(root, "../shared/seeds/003-dev8.md");
const missing = missingPrograms("bash", "curl");
const printedAddress = "http://localhost:8080";
const path = "/api/v1/environments";
const fixture = openStackFixture("berth-dev8-");
let stack: StackProcess;
let key: string;

beforeAll(async () => {
  // This is the document's domain, so that whole answers can be compared.
  stack = await fixture.start({ DOMAIN: "azurecontainer.io", SCHEME: "http", BERTH_OPEN: "1" });
  key = (await stack.env()).API_KEY ?? "";
});

afterAll(() => fixture.close());

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
  readonly body: any;
}

async function ask(method: string, at: string, body?: unknown): Promise<Answer> {
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "Content-Type": "application/json" };
  const init = sent === undefined ? { method } : { method, headers, body: sent };
  const response = await fetch(`${stack.url}/k/${key}${at}`, init);
  return { status: response.status, body: JSON.parse(await response.text()) };
}

const quickStart = (workspaceId: string) => ({
  workspaceId,
  userId: "user123",
  name: "Test Workspace",
  cloudRegion: "centralindia",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  baseImage: "node",
});

describe("the document's quick start", () => {
  const ways = [
    ["a base URL that holds the key", () => `${stack.url}/k/${key}`],
    ["a stack that is open to its own machine", () => stack.url],
  ] as const;

  it.for(ways)("runs from a shell as it is printed, with %s", async ([, address], { skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    writeFileSync(join(fixture.home, ".curlrc"), 'silent\nshow-error\nwrite-out = "\\n%{http_code}\\n"\n');
    const env = { PATH: process.env.PATH, HOME: fixture.home, CURL_HOME: fixture.home };
    const commands = script.replaceAll(printedAddress, address());

    const { code, stdout, stderr } = await runProgram("bash", ["--norc", "-eu", "-c", commands], { env });

    const answers = Array.from(stdout.matchAll(/^(.*)\n(\d{3})\n/gm), ([, body = "", status]) => [
      status,
      JSON.parse(body),
    ]);
    const running = expect.objectContaining({ id: "test-workspace-001", status: "RUNNING" });
    const said = (message: string, data: object) => ({ success: true, message, data: expect.objectContaining(data) });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(answers).toEqual([
      ["200", expect.objectContaining({ status: "healthy" })],
      ["201", said("Workspace created successfully", { environment: running })],
      ["200", said("Workspace stopped successfully", { workspaceId: "test-workspace-001" })],
      ["200", said("Workspace started successfully", { environment: running })],
    ]);
    const body = { workspaceId: "test-workspace-001", cloudRegion: "centralindia", force: true };
    expect((await ask("DELETE", path, body)).status).toBe(200);
  });
});

describe("the document's requests", () => {
  const [health, healthTold, create, created, start, started, stop, stoppedTold, remove, removed, running] = examples;
  const [, badCreate, badCreated, noVolume, noContainer] = examples.slice(11);
  const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

  it("get the printed answers, with other times and one address for the page", async () => {
    const answer = {
      health: await send(health),
      create: await send(create),
      running: await send(remove),
      stop: await send(stop),
      start: await send(start),
      again: await send(stop),
      remove: await send(remove),
    };

    const { environment: printed, message } = JSON.parse(created ?? "").data;
    const { environment: restarted, ...more } = JSON.parse(started ?? "").data;
    const times = { createdAt: at, updatedAt: at };
    const { connectionUrls } = printed;
    expect(answer.health).toMatchObject({ status: 200, body: { status: "healthy", timestamp: at } });
    expect(Object.keys(answer.health.body)).toEqual(expect.arrayContaining(Object.keys(JSON.parse(healthTold ?? ""))));
    expect(answer.create).toEqual({
      status: 201,
      body: {
        ...JSON.parse(created ?? ""),
        data: { environment: { ...printed, ...times, cloudProvider: "AZURE" }, message },
      },
    });
    expect(answer.start).toMatchObject({
      status: 200,
      body: { ...JSON.parse(started ?? ""), data: { environment: { ...restarted, connectionUrls }, ...more } },
    });
    expect(answer.running).toEqual({ status: 409, body: JSON.parse(running ?? "") });
    expect([answer.stop, answer.again]).toEqual(
      [1, 2].map(() => ({ status: 200, body: JSON.parse(stoppedTold ?? "") })),
    );
    expect(answer.remove).toEqual({ status: 200, body: JSON.parse(removed ?? "") });
  });

  it("that the document prints as mistakes are refused as printed", async () => {
    const id = "clxxx-yyyy-zzzz";

    const answer = [
      await ask("POST", path, badCreate),
      await ask("POST", `${path}/start`, quickStart(id)),
      await ask("POST", `${path}/stop`, { workspaceId: id, cloudRegion: "centralindia" }),
    ];

    expect(answer).toEqual([
      { status: 400, body: JSON.parse(badCreated ?? "") },
      { status: 404, body: JSON.parse(noVolume ?? "") },
      { status: 404, body: JSON.parse(noContainer ?? "") },
    ]);
  });

  /** Sends a printed request: a line, headers, an empty line and a body. */
  async function send(block = ""): Promise<Answer> {
    const [head = "", ...body] = block.trimEnd().split("\n\n");
    const [method = "", target = ""] = head.split(" ");
    return target.startsWith(path) ? ask(method, target, body.join("\n\n")) : ask(method, target);
  }
});

// The document is not in the repository. It is compared if it lies beside the checkout.
if (existsSync(documentPath)) {
  const document = readFileSync(documentPath, "utf8");
  const blocks = (section: RegExp, language: string) =>
    Array.from(
      (section.exec(document)?.[0] ?? "").matchAll(new RegExp(`^\`\`\`(?:${language})\n([\\s\\S]*?)^\`\`\`$`, "gm")),
      ([, block]) => block,
    );

  it("that this test contains equal the printed ones", () => {
    // The first block of the quick start starts the document's own server.
    const [, ...commands] = blocks(/^## 🚀 Quick Start\n[\s\S]*/mu, "bash");
    const requests = blocks(/^### 1\. Health Check\n[\s\S]*?^## 🔄/mu, "http|json");

    expect(script).toBe(commands.join("\n"));
    expect(examples).toEqual(requests);
  });
}

describe("a workspace", () => {
  it("finds its files again after a stop, and leaves nothing when it is deleted", async () => {
    const body = { ...quickStart("keeps-its-files"), githubToken: "ghp_hunter2" };
    const before = new Set(volumes());
    const created = await ask("POST", path, body);
    const files = volumes()
      .filter((name) => !before.has(name))
      .map((name) => join(fixture.home, "volumes", name, "data/kept.txt"));
    for (const file of files) writeFileSync(file, "what was written before the stop");

    const stopped = await ask("POST", `${path}/stop`, body);
    const asleep = await ask("GET", `${path}/keeps-its-files`);
    const started = await ask("POST", `${path}/start`, body);
    const kept = files.map((file) => readFileSync(file, "utf8"));
    const answer = await ask("POST", `${path}/keeps-its-files/activity`, { snapshot: { activeIDEConnections: 1 } });
    const deleted = await ask("DELETE", path, { ...body, force: true });

    expect([created, stopped, started, answer, deleted].map(({ status }) => status)).toEqual([201, 200, 200, 200, 200]);
    expect(asleep.body.data.environment.status).toBe("STOPPED");
    expect(kept).toEqual(["what was written before the stop", "what was written before the stop"]);
    expect(files.map((file) => existsSync(file))).toEqual([false, false]);
    expect(stack.output()).not.toContain("ghp_hunter2");
    expect((await ask("POST", path, body)).status).toBe(201);
    await ask("DELETE", path, { ...body, force: true });
  });

  it("is ERROR when its container dies, and can be started again", async () => {
    const body = quickStart("its-container-dies");
    await ask("POST", path, body);
    const ownSeenProcesses = fixture
      .processes()
      .filter(({ environment }) => environment.get("WORKSPACE_ID") === body.workspaceId);
    for (const { pid } of ownSeenProcesses) process.kill(pid, "SIGKILL");

    await eventually(
      () => ask("GET", `${path}/${body.workspaceId}`),
      (seen) => seen.body.data.environment.status === "ERROR",
      50_000,
    );
    const started = await ask("POST", `${path}/start`, body);

    expect(ownSeenProcesses.length).toBeGreaterThan(0);
    expect([started.status, started.body.data.environment.status]).toEqual([200, "RUNNING"]);
    await ask("DELETE", path, { ...body, force: true });
  });

  function volumes(): string[] {
    return readdirSync(join(fixture.home, "volumes")).filter((name) => name.startsWith("vol-"));
  }
});

describe("invalid input", () => {
  it("is always answered in the dialect's envelope", async () => {
    const invalid = "Invalid Request";
    const uuid = "workspaceId must be a valid UUID";
    const absent = "workspaceId is required (UUID from database)";
    const gone = "workspace not found: nobodys-workspace";
    const named = { workspaceId: "nobodys-workspace", cloudRegion: "eastus" };
    const json = "Please check your JSON payload";
    const rows: [string, string, unknown, number, string, string][] = [
      ["POST", path, "", 400, invalid, absent],
      ["DELETE", path, undefined, 400, invalid, absent],
      ["POST", path, "{", 400, "Invalid request body", json],
      ["POST", path, "[]", 400, "Invalid request body", json],
      ["POST", path, '// https://x\n{"workspaceId":"short"} // y', 400, invalid, uuid],
      ["POST", path, `{"name":"${"x".repeat(2_097_152)}"}`, 413, "Payload Too Large", "Request body too large"],
      ["POST", `${path}/stop?a=%zz&b=%`, { workspaceId: 1 }, 400, invalid, uuid],
      ["DELETE", `${path}?x=%`, named, 404, "Resource Not Found", gone],
      ["GET", `${path}/nobodys-workspace?x=%`, undefined, 404, "Resource Not Found", gone],
      ["GET", `${path}/start`, undefined, 404, "Resource Not Found", "workspace not found: start"],
      ["DELETE", `${path}/nobodys-workspace`, {}, 405, "Method Not Allowed", "Method not allowed"],
      ["GET", "/api/v1/nothing", undefined, 404, "Resource Not Found", "Route not found"],
    ];

    for (const [method, at, body, status, error, message] of rows) {
      const answer = await ask(method, at, body);
      const envelope = { success: false, error, message, code: `ERR_${status}` };
      expect([at, answer]).toEqual([at, { status, body: envelope }]);
    }
  });
});
