import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ask as askPage, basic } from "#gateway/ingress/ingress-fixture.ts";
import { createClient } from "#local/server/socket-fixture.ts";
import { exampleAt, examples, examplesIn, requestAt } from "./onmemos-examples.ts";
import { eventually } from "./processes.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const documentPath = join(root, "../shared/seeds/001-onmemos.md");
const printed = { address: "localhost:8080", key: "your-api-key", id: "ws-test-developer-123" };
const plain = { template: "python", namespace: "my-project", user: "developer" };
const [noBash, noPython] = [missingPrograms("bash", "curl"), missingPrograms("python3")];
const fixture = openStackFixture("berth-onmemos-");
let stack: StackProcess;
let key: string;
let isSandboxed: boolean;

beforeAll(async () => {
  stack = await fixture.start();
  key = (await stack.env()).API_KEY ?? "";
  const health = await (await fetch(`${stack.url}/health`)).json();
  isSandboxed = (health as { isolation: string }).isolation !== "none";
});

afterAll(() => fixture.close());

/** Returns a command's output with the workspace's path in a sandbox. Without a sandbox, the path is longer. */
function inWorkspace(text: unknown): string {
  return isSandboxed ? String(text) : String(text).replaceAll(/\/\S+\/0\/work\/workspace(?=[/\n])/g, "/workspace");
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
  readonly body: any;
}

async function ask(method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer> {
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "X-API-Key": key, "Content-Type": "application/json", ...more };
  const init = { method, headers, ...(sent === undefined ? {} : { body: sent }) };
  const response = await fetch(`${stack.url}${path}`, init);
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function newSession(more: object = {}): Promise<string> {
  const { status, body } = await ask("POST", "/v1/sessions", { ...plain, ...more });
  expect([status, body.status]).toEqual([201, "running"]);
  return body.id;
}

/** Sends the printed request. Like every client, this encodes spaces in the path. */
async function sendPrinted(at: string, id = ""): Promise<Answer> {
  const { method, path, headers, body } = requestAt(at);
  const sent = { ...headers, ...(headers["X-API-Key"] === printed.key && { "X-API-Key": key }) };
  return ask(method, path.replace(/\{\w+_id\}/, id), body, sent);
}

/** Returns the printed text with this test's address, key and session. */
const here = (text: string, id: string = printed.id) =>
  text.replaceAll(printed.address, new URL(stack.url).host).replaceAll(printed.key, key).replaceAll(printed.id, id);

describe("the requests of the document", () => {
  it("create, show, use and delete a session", async () => {
    const at = (name: string) => `Unified Sessions API (\`/v1/sessions/*\`) / ${name}`;

    const created = await sendPrinted(at("Create Session"));
    const { id } = created.body;
    const received = [await sendPrinted(at("Get Session"), id), await sendPrinted(at("Get Connection Info"), id)];
    const executed = await sendPrinted(at("Execute Command"), id);
    const deleted = await sendPrinted(at("Delete Session"), id);
    const again = await sendPrinted(at("Delete Session"), id);

    const documented = JSON.parse(exampleAt("Response Formats / Session Response"));
    const { url, websocket, ssh } = created.body;
    expect([created.status, created.body]).toEqual([201, expect.objectContaining(sameForm(documented, id))]);
    expect(received).toEqual([
      { status: 200, body: created.body },
      { status: 200, body: { url, websocket, ssh } },
    ]);
    expect([executed.status, Object.keys(executed.body)]).toEqual([
      ...[200, Object.keys(JSON.parse(exampleAt("Response Formats / Command Execution Response")))],
    ]);
    expect(executed.body).toMatchObject({ stdout: expect.stringMatching(/^total /), returncode: 0, success: true });
    expect([deleted, again]).toEqual([
      { status: 200, body: { ok: true } },
      { status: 404, body: JSON.parse(exampleAt("Response Formats / Error Response")) },
    ]);
  });

  it("create, list, show, use and delete a workspace", async () => {
    const at = (name: string) => `Legacy Cloud Run API (\`/v1/cloudrun/*\`) / ${name}`;

    const created = await sendPrinted(at("Create Workspace"));
    const { id } = created.body;
    const listed = await sendPrinted(at("List Workspaces"));
    const shown = await sendPrinted(at("Get Workspace"), id);
    const ran = await Promise.all(
      ["Execute Command", "Run Python", "Run Shell"].map((name) => sendPrinted(at(name), id)),
    );
    const deleted = await sendPrinted(at("Delete Workspace"), id);

    expect([created.status, created.body]).toMatchObject([201, { status: "running", ttl_minutes: 30 }]);
    expect([listed.status, listed.body.workspaces[0]]).toEqual([200, created.body]);
    expect(shown).toEqual({ status: 200, body: created.body });
    const good = { stderr: "", returncode: 0, success: true, workspace_id: id };
    const [executed, ...others] = ran;
    expect([
      { ...executed, body: { ...executed?.body, stdout: inWorkspace(executed?.body.stdout) } },
      ...others,
    ]).toEqual([
      { status: 200, body: { ...good, stdout: "/workspace\n", command: "pwd" } },
      { status: 200, body: { ...good, stdout: "Hello World\n", command: 'print("Hello World")' } },
      { status: 200, body: { ...good, stdout: expect.stringMatching(/^total /), command: "ls -la" } },
    ]);
    expect(deleted).toEqual({ status: 200, body: { message: "Workspace deleted successfully" } });
  });

  it("check its health without a key", async () => {
    const { status, body } = await sendPrinted("Health Check");

    expect([status, body.status]).toEqual([200, "healthy"]);
  });

  /** Returns the printed answer with this stack's id, address and bucket. */
  function sameForm(documented: Readonly<Record<string, unknown>>, id: string) {
    const [number] = /\d+$/.exec(id) ?? [];
    return {
      ...documented,
      id,
      url: expect.stringMatching(`^https?://onmemos-${id}\\.`),
      websocket: `/v1/cloudrun/workspaces/${id}/shell`,
      details: { service_name: `onmemos-${id}`, bucket_name: `onmemos-my-project-developer-${number}` },
    };
  }
});

describe("the curl examples of the document", () => {
  it("run from a shell as printed, and against an existing session", async ({ skip }) => {
    skip(noBash.length > 0, `not on this machine: ${noBash.join(", ")}`);

    const made = await curl("Create Cloud Run Session");
    const kept = await curl("Create GKE Session");
    const missed = [await curl("Execute Command"), await curl("Delete Session")];
    const executed = await curl("Execute Command", made.body.id);
    const deleted = await curl("Delete Session", made.body.id);

    expect([made, kept]).toMatchObject([
      { status: 201, body: { provider: "cloud_run", status: "running", namespace: "test", ttl_minutes: 30 } },
      { status: 201, body: { provider: "gke", status: "running", namespace: "ml-training", ttl_minutes: 1440 } },
    ]);
    expect(missed).toEqual([1, 2].map(() => ({ status: 404, body: { detail: "Session not found" } })));
    expect([executed.status, executed.body]).toEqual([
      ...[200, { stdout: expect.stringMatching(/^Python 3\.\d+/), stderr: "", returncode: 0, success: true }],
    ]);
    expect(deleted).toEqual({ status: 200, body: { ok: true } });
  });

  async function curl(name: string, id?: string): Promise<Answer> {
    writeFileSync(join(fixture.home, ".curlrc"), 'silent\nshow-error\nwrite-out = "\\n%{http_code}"\n');
    const env = { PATH: process.env.PATH, HOME: fixture.home, CURL_HOME: fixture.home };
    const command = here(exampleAt(`cURL Examples / ${name}`), id);
    const { code, stdout, stderr } = await runProgram("bash", ["--norc", "-eu", "-c", command], { env });
    expect([code, stderr]).toEqual([0, ""]);
    const [, body = "", status] = /^(.*)\n(\d{3})$/.exec(stdout) ?? [];
    return { status: Number(status), body: JSON.parse(body) };
  }
});

describe("the Python SDK", () => {
  it.for([
    ["Basic Usage", /^Python 3\.\d+\.\d+\S*\n\n$/],
    ["Context Manager", /^Hello from OnMemOS!\n\n$/],
  ] as const)("runs the printed example and leaves nothing: %s", async ([name, wanted], { skip }) => {
    skip(noPython.length > 0, `not on this machine: ${noPython.join(", ")}`);

    const { code, stdout, stderr } = await python(here(exampleAt(`Python SDK Examples / ${name}`)));
    const { body } = await ask("GET", "/v1/sessions?user=developer");

    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expect.stringMatching(wanted), stderr: "" });
    expect(body.sessions.filter(({ status }: { status: string }) => status !== "terminating")).toEqual([]);
  });

  it("behaves against the stack as its page says", async ({ skip }) => {
    skip(noPython.length > 0, `not on this machine: ${noPython.join(", ")}`);

    const { code, stdout, stderr } = await python(here(program));

    expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: "", stdout: "done\n" });
    expect((await ask("GET", "/v1/cloudrun/workspaces?namespace=sdk")).body.workspaces).toEqual([]);
  });

  const program = `
import time
from sdk.python.client import NotFoundError, OnMemOSClient, ValidationError

client = OnMemOSClient("http://${printed.address}/k/${printed.key}")
code = "'''\\nEOF\\n$(id) + & % #\\n'''\\nprint('\\u00e4 + % &', len(__import__('sys').stdin.read()))"
try:
    with client.cloudrun_workspace_session("python", "SDK", "developer") as workspace:
        ident = workspace["id"]
        assert workspace.run_python(code)["stdout"] == "\\u00e4 + % & 0\\n", workspace.run_python(code)
        assert workspace.run_shell("echo out; echo err >&2; exit 3") == {
            "stdout": "out\\n", "stderr": "err\\n", "returncode": 3, "success": False,
            "workspace_id": ident, "command": "echo out; echo err >&2; exit 3",
        }
        long = "x" * 60000
        assert workspace.run_python("print(len('" + long + "'))")["stdout"] == "60000\\n"
        assert workspace.execute("sleep 30", timeout=1)["returncode"] == 124
        assert [one["id"] for one in client.list_cloudrun_workspaces("sdk", "Developer")] == [ident]
        assert client.get_cloudrun_workspace(ident)["bucket_name"] == client.get_session(ident)["details"]["bucket_name"]
        assert client.connect(ident)["websocket"].endswith(ident + "/shell")
        raise RuntimeError("goes on")
except RuntimeError as error:
    assert str(error) == "goes on"
assert client.delete_cloudrun_workspace(ident) is False
for _ in range(100):
    try:
        assert client.get_session(ident)["status"] == "terminating"
    except NotFoundError as error:
        assert (error.status, error.detail) == (404, "Session not found")
        break
    time.sleep(0.1)
else:
    raise AssertionError("it is still there")
try:
    client.create_session({"template": "cobol"})
except ValidationError as error:
    assert error.detail == "template must be one of: python, nodejs, go", error
assert client.health_check()["status"] == "healthy"
print("done")
`;

  async function python(text: string) {
    const path = join(root, "packages/python");
    const env = { PATH: process.env.PATH, HOME: fixture.home, PYTHONDONTWRITEBYTECODE: "1", PYTHONPATH: path };
    return runProgram("python3", ["-c", text], { cwd: fixture.home, env });
  }
});

describe("the WebSocket shell", () => {
  it("answers the printed client in its own program", async () => {
    const id = await newSession({ user: "browser" });
    const [open, send, receive] = ["Connect", "Send Command", "Receive Response"].map((name) =>
      here(exampleAt(`WebSocket Protocol / ${name}`), id),
    );
    const end = "ws.addEventListener('message', ({ data }) => data.includes('command_result') && ws.close());";
    const text = `${open}\n${receive}\nws.onopen = () => {\n${send}\n};\n${end}`;

    const { code, stdout, stderr } = await runProgram(process.execPath, ["-e", text], { env: { PATH: "" } });

    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^Output: total [\s\S]*\nError: \nSuccess: true\n$/);
  });

  it("keeps its directory, and is closed when its workspace is deleted by the other family", async () => {
    const id = await newSession({ user: "shell", env: { GREETING: "hello" } });
    const { send, next, closed } = createClient(new WebSocket(shellUrl(id)));
    const typed = async (command: string) => {
      send({ type: "command", command });
      return next();
    };

    expect(await next()).toMatchObject({ type: "welcome", workspace_id: id, current_directory: "/workspace" });
    expect(await typed("mkdir -p sub && cd sub && echo $GREETING $USER")).toMatchObject({
      type: "command_result",
      stdout: "hello shell\n",
      success: true,
      current_directory: "/workspace/sub",
    });
    expect(inWorkspace((await typed("pwd; python -c 'print(1)'")).stdout)).toBe("/workspace/sub\n1\n");
    expect((await ask("DELETE", `/v1/sessions/${id}`)).status).toBe(200);
    expect(await closed).toBe(1001);
  });

  it.each([
    ["the printed workspace", printed.id, true, 404],
    ["a name that no record can have", "x".repeat(4_000), true, 404],
    ["a bad key", printed.id, false, 401],
  ])("is refused for %s", async (_, id, isGood, status) => {
    const socket = new WebSocket(isGood ? shellUrl(id) : shellUrl(id).replace(key, "k".repeat(40)));
    const refused = new Promise<number>((resolve) => {
      socket.on("unexpected-response", (__, response) => resolve(response.statusCode ?? 0));
      socket.on("error", () => undefined);
    });

    expect(await refused).toBe(status);
  });

  const shellUrl = (id: string) =>
    `${stack.url.replace("http", "ws")}/v1/cloudrun/workspaces/${id}/shell?api_key=${key}`;
});

describe("the page at a session's url", () => {
  it("shows only its owner that it runs without a page, until it is deleted", async () => {
    const { body } = await ask("POST", "/v1/sessions", { ...plain, user: "page" });
    const running = [await open(body.url, key), await open(body.url), await open(body.url, "k".repeat(40))];
    const shown = (await ask("GET", `/v1/sessions/${body.id}`)).body;

    await ask("DELETE", `/v1/sessions/${body.id}`);
    const deleted = await eventually(
      () => open(body.url, key),
      ({ status }) => status === 404,
    );

    expect([shown.status, shown.url]).toEqual(["running", body.url]);
    expect(running).toEqual([
      { status: 503, text: "It is running, and has no page to show." },
      ...[1, 2].map(() => ({ status: 401, text: expect.stringContaining("Give your Berth API key") })),
    ]);
    expect(deleted.text).toBe("You have no environment with this address.");
  });

  /** Opens a page as a browser does, with the name resolved to this machine. */
  async function open(url: string, password?: string): Promise<{ readonly status: number; readonly text: string }> {
    const { port, host } = new URL(url);
    const headers = password === undefined ? {} : { headers: { authorization: basic(password) } };
    const { status, body } = await askPage(Number(port), host, { path: "/", ...headers });
    return { status, text: /<p>(.*)<\/p>/.exec(body)?.[1] ?? body };
  }
});

describe("commands", () => {
  it("have the documented variables, persistent files, and both names of Python", async () => {
    const id = await newSession({ namespace: "MY-Project", env: { GREETING: "it's", USER: "else" } });
    const run = async (command: string) => (await ask("POST", `/v1/sessions/${id}/execute`, { command })).body;
    const [number] = /\d+$/.exec(id) ?? [];

    const input = 'echo "$WORKSPACE_ID $NAMESPACE $USER $BUCKET_NAME $GREETING"; pwd';
    expect(inWorkspace((await run(input)).stdout)).toBe(
      `${id} my-project developer onmemos-my-project-developer-${number} it's\n/workspace\n`,
    );
    expect((await run("echo kept >file; cd /tmp; LOST=1")).returncode).toBe(0);
    expect((await run("cat file; echo $LOST")).stdout).toBe("kept\n\n");
    expect((await run("python --version; python3 --version")).stdout).toMatch(/^(Python 3\S+\n)\1$/);
    expect((await run("kill -9 $$")).returncode).toBe(137);
    expect(await run("-x 'not an option'")).toMatchObject({ returncode: 127, success: false });
  });

  it("never run as root or in its groups in a sandbox", async ({ skip }) => {
    skip(!isSandboxed, "environments are whoever started the stack where there is no bubblewrap");
    const id = await newSession({ user: "plain" });
    const command = "id -u; id -g; id -G; sed -n 's/^[UG]id:\\t//p' /proc/self/status";

    const { body } = await ask("POST", `/v1/sessions/${id}/execute`, { command });

    expect([body.stderr, body.returncode]).toEqual(["", 0]);
    const ids = String(body.stdout).trim().split(/\s+/);
    expect(ids.length).toBeGreaterThanOrEqual(11);
    expect(ids).not.toContain("0");
  });

  it("end at their timeout with their processes, and keep their output", async () => {
    const id = await newSession({ user: "late" });
    const command = "echo begun; (sleep 4711 & sleep 4711) & echo half >&2; sleep 4711";

    const until = (timeout: number) => ask("POST", `/v1/sessions/${id}/execute`, { command, timeout });
    let [seconds, { status, body }] = [1, await until(1)];
    // On a busy machine, the command may begin later.
    if (!String(body.stderr).startsWith("half")) [seconds, { status, body }] = [60, await until(60)];
    const left = await eventually(
      () => fixture.processes().filter((seen) => seen.command.startsWith("sleep 4711")),
      (seen) => seen.length === 0,
    );

    expect([status, body, left]).toEqual([
      200,
      { stdout: "begun\n", stderr: `half\nCommand timed out after ${seconds}s`, returncode: 124, success: false },
      [],
    ]);
  });

  it("may write invalid text, and more than is kept", async () => {
    const id = await newSession({ user: "loud" });
    const run = async (command: string) => (await ask("POST", `/v1/sessions/${id}/execute`, { command })).body;

    const [odd, much] = [await run("printf 'a\\377b\\000c\\r\\n'"), await run("yes | head -c 2000000; echo e >&2")];

    expect(odd.stdout).toBe("a\ufffdb\0c\r\n");
    expect([much.stdout.length, much.stdout.slice(-22), much.stderr]).toEqual([
      ...[1_048_576 + "[output truncated]".length, "y\ny\n[output truncated]", "e\n"],
    ]);
  });

  it("run concurrently, each with its own result", async () => {
    const id = await newSession({ user: "many" });

    const received = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        ask("POST", `/v1/cloudrun/workspaces/${id}/runpython`, { code: `print(${n})` }),
      ),
    );

    expect(received.map(({ body }) => body.stdout)).toEqual(received.map((_, n) => `${n}\n`));
  });
});

describe("bad input", () => {
  it("is always answered in the dialect's envelope", async () => {
    const id = await newSession({ user: "odd" });
    const [session, workspace] = [`/v1/sessions/${id}`, `/v1/cloudrun/workspaces/${id}`];
    const rows: [string, string, unknown, number, string][] = [
      ["POST", "/v1/sessions", "", 400, "template is required"],
      ["POST", "/v1/sessions", "{", 400, "Invalid JSON body"],
      ["POST", "/v1/sessions", '// "http://x"\n{}', 400, "Invalid JSON body"],
      ["POST", "/v1/sessions", { ...plain, namespace: ["x"] }, 400, "namespace must be a string"],
      ["POST", "/v1/sessions", `{"template":"${"x".repeat(2_000_000)}"}`, 413, "Request body too large"],
      ["POST", `${session}/execute`, "", 400, "command is required"],
      ["POST", `${session}/execute?command=x`, {}, 400, "command is required"],
      ["POST", `${workspace}/execute?command=&a=%zz&b=%`, undefined, 400, "command is required"],
      ["POST", `${workspace}/runpython?code=1&timeout=1e3`, undefined, 400, "timeout must be an integer"],
      ["GET", `/v1/sessions/${"x".repeat(5_000)}`, undefined, 404, "Session not found"],
      ["GET", "/v1/sessions/%00%ff", undefined, 404, "Session not found"],
      ["DELETE", `/v1/cloudrun/workspaces/${printed.id}`, { any: "body" }, 404, "Workspace not found"],
      ["PUT", session, {}, 405, "Method Not Allowed"],
      ["GET", `${workspace}/shell`, undefined, 426, "WebSocket upgrade required"],
      ["GET", "/v1/cloudrun/nothing", undefined, 404, "Not Found"],
    ];

    for (const [method, path, body, status, detail] of rows) {
      const received = await ask(method, path, body);
      expect([path, received.status, received.body]).toEqual([path, status, { detail }]);
    }
    expect(await ask("DELETE", `${session}?x=%`, { force: true })).toEqual({ status: 200, body: { ok: true } });
  });

  it("does not end the stack even if it is not HTTP", async () => {
    const { path } = requestAt("Legacy Cloud Run API (`/v1/cloudrun/*`) / Run Shell");

    const refused = await raw(`POST ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Length: 0\r\n\r\n`);

    expect(refused).toMatch(/^HTTP\/1\.1 400/);
    expect((await ask("GET", "/v1/sessions")).status).toBe(200);
  });

  /** Sends exactly these bytes, and returns the answer. */
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

// The document is not in the repository. It is compared if it lies beside the checkout.
if (existsSync(documentPath)) {
  it("leaves the examples equal to the printed ones", () => {
    expect(examples).toEqual(examplesIn(readFileSync(documentPath, "utf8")));
  });
}
