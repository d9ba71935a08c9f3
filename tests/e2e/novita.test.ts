import { createHmac } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { keyFile } from "#gateway/ssh/ssh-fixture.ts";
import {
  blocksIn,
  blockWith,
  requestsFake,
  runNode,
  runPython,
  runShell,
  type Staging,
  transcription,
} from "./novita-examples.ts";
import { eventually } from "./processes.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const documentPath = join(root, "../shared/seeds/002-novita.md");
const printedReceiver = "https://your-app.com/webhook";
const lacksShell = missingPrograms("bash", "curl", "jq");
const lacksPython = missingPrograms("python3");
const secretBytes = Buffer.from("the bytes of a webhook secret");
const secret = `whsec_${secretBytes.toString("base64")}`;
const sshKey = newSshKey();
const fixture = openStackFixture("berth-novita-");

interface Post {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly at: number;
}

const posts: Post[] = [];
let receiver: Server;
let receiverUrl: string;
let stack: StackProcess;
let staging: Staging;

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    // This also plays GitHub's page of a user's keys.
    if (request.url === "/octocat.keys") return response.end(`${sshKey.public}\n`);
    const body = await textOf(request);
    posts.push({ headers: request.headers, body, at: Date.now() });
    return response.end();
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const origin = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  receiverUrl = `${origin}/webhook`;
  stack = await fixture.start({
    LOCAL_NODES: "g5.12xlarge=4",
    WEBHOOK_SECRET: secret,
    GITHUB_KEYS_URL: `${origin}/<user>.keys`,
  });
  const key = (await stack.env()).API_KEY ?? "";
  staging = { home: fixture.home, base: `${stack.url}/k/${key}`, words: { [printedReceiver]: receiverUrl } };
});

afterAll(async () => {
  await fixture.close();
  receiver.close();
});

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
  readonly body: any;
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const options = { method, headers: { "Content-Type": "application/json" }, ...(sent && { body: sent }) };
  const response = await fetch(`${staging.base}${path}`, options);
  return { status: response.status, body: await response.json() };
}

const untilStatus = async (id: string, status: string): Promise<Answer["body"]> => {
  const { body } = await eventually(
    () => ask("GET", `/api/instances/${id}`),
    (answer) => answer.body.status === status,
  );
  return body;
};

const listEvents = (id: string) => posts.map(({ body }) => JSON.parse(body)).filter((event) => event.instanceId === id);

const isConnection = expect.objectContaining({
  ssh: expect.stringMatching(/^ssh -p \d+ inst_[a-z0-9]{12}@127\.0\.0\.1$/),
  jupyter: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+/),
});

describe("the document's commands", () => {
  it("run from a shell with only the key in the base URL changed", async ({ skip }) => {
    skip(lacksShell.length > 0, `not on this machine: ${lacksShell.join(", ")}`);
    const run = async (words: string, id = "") => {
      const changes = { ...staging.words, "{instanceId}": id };
      const { code, stdout, stderr } = await runShell(blockWith(words), { ...staging, words: changes });
      expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: "" });
      // Answers end without a line break, so two stand on one line.
      return JSON.parse(`[${stdout.trim().replaceAll("}{", "},{")}]`);
    };

    const [health] = await run("localhost:3000/health");
    const [created] = await run('"name": "my-instance",');
    const id = created.instanceId;
    const [shown] = await run("curl http://localhost:3000/api/instances/{instanceId}\n", id);
    const [list] = await run("curl http://localhost:3000/api/instances\n");
    const starts = await run("/{instanceId}/start", id);
    await untilStatus(id, "ready");
    const stops = await run("/{instanceId}/stop", id);
    await untilStatus(id, "stopped");

    expect(health).toMatchObject({ status: "healthy", services: expect.any(Object), uptime: expect.any(String) });
    expect(created).toMatchObject({ status: "creating", message: "Instance creation initiated successfully" });
    expect([shown.id, shown.name, list.total]).toEqual([id, "my-instance", 1]);
    expect(starts).toHaveLength(2);
    expect(starts[1].operationId).toBe(starts[0].operationId);
    expect(stops.map(({ instanceId, message }: Answer["body"]) => [instanceId, message])).toEqual(
      [1, 2].map(() => [id, expect.stringMatching(/^Instance (stop initiated successfully|is already stopped)$/)]),
    );
  });

  it("create an instance, wait for it and show its address, in one script", async ({ skip }) => {
    skip(lacksShell.length > 0, `not on this machine: ${lacksShell.join(", ")}`);

    const exports = await runShell(blockWith("export NOVITA_API_KEY"), staging);
    const { code, stdout, stderr } = await runShell(blockWith("INSTANCE_ID=$(curl"), staging);

    expect(exports).toEqual({ code: 0, stdout: "", stderr: "" });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [, statuses = "", details = ""] = /^((?:Status: \w+\n)+)Instance is ready!\n([\s\S]*)$/.exec(stdout) ?? [];
    expect(statuses).toMatch(/Status: ready\n$/);
    expect(JSON.parse(details)).toEqual(isConnection);
  });
});

describe("the document's programs", () => {
  it("in JavaScript and Python (with a fake if requests is missing) create one instance per name under one key", async ({
    skip,
  }) => {
    skip(lacksPython.length > 0, "not on this machine: python3");
    const modules = join(fixture.home, "python");
    mkdirSync(modules);
    const { code: lacksRequests } = await runProgram("python3", ["-c", "import requests"], {});
    if (lacksRequests !== 0) writeFileSync(join(modules, "requests.py"), requestsFake);

    const js = await runNode(blockWith("const API_BASE"), staging, ["", ""]);
    const python = await runPython(blockWith("import requests"), staging, modules);
    const { body } = await ask("GET", "/api/instances");

    const made = body.instances.filter(({ name }: { name: string }) => name === "my-gpu-instance");
    expect([js.code, js.stderr, python.code, python.stderr]).toEqual([0, "", 0, ""]);
    for (const { stdout } of [js, python]) {
      expect(stdout).toMatch(/^Instance created: inst_[a-z0-9]{12}\n(Status: \w+\n)*Instance ready!/);
      expect(stdout).toMatch(/ssh -p \d+ inst_/);
      expect(stdout).not.toContain("Error");
    }
    expect(made.map(({ status }: { status: string }) => status)).toEqual(["ready", "ready"]);
  });

  it("read the error", async () => {
    // The reader replaces `...`.
    const printed = blockWith("console.error('API Error:'").replace(", ... }", ", body: '{}' }");

    const { code, stdout, stderr } = await runNode(printed, staging, ["await (async () => {", "})();"]);

    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "API Error: Validation failed\n" });
  });

  it("create a batch at once, mark an instance as used, and check the service's health", async () => {
    const batch = await runNode(blockWith("worker-1"), staging, ["", ""]);
    const { body } = await ask("GET", "/api/instances?limit=1");
    const { id } = body.instances[0];
    const runsOnce = "globalThis.setInterval = (work) => work();";
    const used = await runNode(blockWith("markInstanceAsUsed"), staging, [
      `${runsOnce} const instanceId = ${JSON.stringify(id)};`,
      "",
    ]);
    const health = await runNode(blockWith("checkHealth"), staging, [runsOnce, ""]);

    const ids = batch.stdout.match(/inst_[a-z0-9]{12}/g) ?? [];
    expect([batch.code, new Set(ids).size]).toEqual([0, 3]);
    expect([used.code, used.stderr, health.code, health.stdout]).toEqual([
      ...[0, "", 0, expect.stringMatching(/^Service healthy, uptime: \w+\n$/)],
    ]);
    expect((await ask("GET", `/api/instances/${id}`)).body.lastUsedAt).toMatch(/^\d{4}-.+\.\d{3}Z$/);
  });

  it("learn about an instance from a webhook handler", async () => {
    const { body: created } = await ask("POST", "/api/instances", { ...instance, webhookUrl: receiverUrl });
    const id = String(created.instanceId);
    await untilStatus(id, "ready");
    const ready = await eventually(
      () => listEvents(id).find(({ status }) => status === "ready"),
      (event) => event !== undefined,
    );
    // The example's handler needs a framework, so this has the methods that it uses.
    const app = `const app = { post: (path, handler) => handler({ body: ${JSON.stringify(ready)} },
      { status: (code) => ({ send: (text) => console.log(path, code, text) }) }) };`;

    const { code, stdout } = await runNode(blockWith("app.post('/webhook'"), staging, [app, ""]);

    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^Instance ${id} is now ready\\nConnection details: \\{[^]*\\}\\n/webhook 200 OK\\n$`),
    );
  });

  it("send the printed headers, and get the ids back", async () => {
    const headers = blockWith("X-Request-ID").matchAll(/^(X-[\w-]+): (\S+)/gm);
    const sent = Object.fromEntries(Array.from(headers, ([, name = "", value = ""]) => [name, value]));

    const response = await fetch(`${staging.base}/api/instances/inst_000000000000`, { headers: sent });

    const { error } = (await response.json()) as Answer["body"];
    expect(sent).toHaveProperty("X-Correlation-ID");
    for (const [name, value] of Object.entries(sent)) expect(response.headers.get(name)).toBe(value);
    expect([error.requestId, error.correlationId]).toEqual(Object.values(sent));
  });

  // The document is not in the repository. It is compared if it lies beside the checkout.
  if (existsSync(documentPath)) {
    it("are transcribed as they are printed", () => {
      expect(transcription).toEqual(blocksIn(readFileSync(documentPath, "utf8")));
    });
  }
});

const instance = { name: "told", productName: "RTX 4090 24GB", templateId: "pytorch-jupyter" };

describe("a receiver", () => {
  it("gets a whole life in signed posts, each with a unique id", async () => {
    const { body } = await ask("POST", "/api/instances", { ...instance, webhookUrl: receiverUrl });
    const id = String(body.instanceId);
    await untilStatus(id, "ready");
    await ask("POST", `/api/instances/${id}/stop`);
    await eventually(
      () => listEvents(id),
      (events) => events.some(({ status }) => status === "stopped"),
    );

    const mine = posts.filter((post) => JSON.parse(post.body).instanceId === id);
    const inOrder = listEvents(id).toSorted((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
    expect(inOrder.map(({ status }) => status)).toEqual(expect.arrayContaining(["starting", "ready", "stopped"]));
    expect(inOrder.at(-1)).toMatchObject({ status: "stopped", data: { reason: "requested", connectionDetails: null } });
    expect(inOrder.find(({ status }) => status === "ready")?.data.connectionDetails).toEqual(isConnection);
    expect(new Set(mine.map(({ headers }) => headers["webhook-id"])).size).toBe(mine.length);
    for (const post of mine) expect(getSignatures(post)).toEqual(ownSignatures(post));
  });

  it("is refused if it is invalid", async () => {
    const rows = [
      ["http://10.0.0.1/hook", "webhookUrl must not point to a private address"],
      ["http://169.254.169.254/latest/meta-data", "webhookUrl must not point to a private address"],
      ["ftp://127.0.0.1/", "webhookUrl must be a valid http or https URL"],
    ];

    for (const [webhookUrl, message] of rows) {
      const { status, body } = await ask("POST", "/api/instances", { ...instance, webhookUrl });
      expect([status, body.error.details]).toMatchObject([400, [{ field: "webhookUrl", message }]]);
    }
  });

  function getSignatures({ headers }: Post) {
    const { "x-signature-sha256": hex, "x-webhook-signature": same, "webhook-signature": standard } = headers;
    return { hex, same, standard, agent: headers["user-agent"], type: headers["content-type"] };
  }

  /** Computes the signatures of the received bytes by Node's HMAC, as the contract tells receivers to. */
  function ownSignatures({ headers, body, at }: Post) {
    const hex = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const standard = `v1,${createHmac("sha256", secretBytes).update(signed).digest("base64")}`;
    // Receivers of that standard accept at most 300 seconds.
    expect(Math.abs(at / 1000 - Number(headers["webhook-timestamp"]))).toBeLessThan(300);
    return { hex, same: hex, standard, agent: "Berth-Webhook/1", type: "application/json" };
  }
});

describe("the printed ssh command", () => {
  it("admits the GitHub user named by the create, to files that survive a stop and a start", async ({ skip }) => {
    // OpenSSH has no --version.
    const { code: lacksSsh } = await runProgram("ssh", ["-V"], {}).catch(() => ({ code: 1 }));
    skip(lacksSsh !== 0, "not on this machine: ssh");
    const { body } = await ask("POST", "/api/instances", { ...instance, githubUser: "octocat" });
    const id = String(body.instanceId);
    const run = async (command: string) => {
      const { connectionDetails } = await untilStatus(id, "ready");
      const [program = "", ...words] = connectionDetails.ssh.split(" ");
      const ownNames = ["-F", "/dev/null", "-i", keyFile(fixture.home, sshKey)];
      const settings = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "BatchMode=yes",
        "IdentityAgent=none",
      ];
      const options = [...ownNames, ...settings.flatMap((setting) => ["-o", setting])];
      const { stdout } = await eventually(
        () => runProgram(program, [...words, ...options, command], {}),
        ({ code }) => code === 0,
      );
      return stdout;
    };

    const written = await run("echo kept > file && cat file");
    await ask("POST", `/api/instances/${id}/stop`);
    await untilStatus(id, "stopped");
    await ask("POST", `/api/instances/${id}/start`);
    const text = await run("cat file");

    expect([written, text]).toEqual(["kept\n", "kept\n"]);
  });
});

describe("bad input", () => {
  it("is answered in the dialect's envelope, whatever it is", async () => {
    const big = `{"name":"${"x".repeat(1_048_576)}"}`;
    const rows: [string, string, unknown, number, string][] = [
      ["POST", "/api/instances", "", 400, "VALIDATION_ERROR"],
      ["POST", "/api/instances", "{", 400, "VALIDATION_ERROR"],
      ["POST", "/api/instances", "null", 400, "VALIDATION_ERROR"],
      ["POST", "/api/instances", `{"name":"a//b" /* "*/}`, 400, "VALIDATION_ERROR"],
      ["POST", "/api/instances", big, 413, "PAYLOAD_TOO_LARGE"],
      ["GET", "/api/instances?limit=%&offset=%zz", undefined, 400, "VALIDATION_ERROR"],
      ["GET", "/api/instances/{instanceId}", undefined, 404, "INSTANCE_NOT_FOUND"],
      ["GET", "/api/instances/%E0%A4%A", undefined, 404, "INSTANCE_NOT_FOUND"],
      ["DELETE", "/api/instances/inst_000000000000", { any: "body" }, 404, "INSTANCE_NOT_FOUND"],
      ["PUT", "/api/instances/inst_000000000000/last-used", "", 404, "INSTANCE_NOT_FOUND"],
      ["POST", "/api/instances/stop", { instanceName: 5 }, 400, "VALIDATION_ERROR"],
      ["PUT", "/api/instances", {}, 405, "METHOD_NOT_ALLOWED"],
      ["GET", "/api/nothing", undefined, 404, "NOT_FOUND"],
    ];

    for (const [method, path, body, status, code] of rows) {
      const answer = await ask(method, path, body);
      expect([method, path, answer.status, answer.body.error.code]).toEqual([method, path, status, code]);
      expect(answer.body.error).toMatchObject({ message: expect.any(String), requestId: expect.any(String) });
    }
  });

  it("does not end the stack even if it is not HTTP, and never works without a key", async () => {
    const { hostname, port } = new URL(stack.url);
    const parts: string[] = [];
    const socket = connect(Number(port), hostname, () =>
      socket.end("GET /api/instances/a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    );
    socket.on("data", (part) => parts.push(String(part)));
    await once(socket, "close");
    const keyless = await fetch(`${stack.url}/api/instances`);

    expect(parts.join("")).toMatch(/^HTTP\/1\.1 40\d/);
    expect([keyless.status, await keyless.json()]).toMatchObject([401, { error: { code: "UNAUTHORIZED" } }]);
  });
});
