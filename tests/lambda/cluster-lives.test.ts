import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openEchoSession } from "../cluster/echo-session.ts";
import { smallJob } from "../fixtures/catalog-requests.ts";
import { CLUSTER_MISSING, type ClusterWorld, openClusterWorld, runningWorkspace } from "./cluster-world.ts";
import { toCompared } from "./compared.ts";
import { viewerRequest } from "./endpoint-requests.ts";
import { LONG_MS } from "./stage.ts";

let world: ClusterWorld | undefined;
beforeAll(async () => {
  if (CLUSTER_MISSING === undefined) world = await openClusterWorld();
}, LONG_MS);

afterAll(() => world?.stop(), LONG_MS);

test("commands of each kind run in a pod by their function URLs, and find the files of the one before", async ({
  skip,
}) => {
  if (!world) return skip(CLUSTER_MISSING);
  const { ask } = world;
  const { id, path } = await runningWorkspace(world);
  const ran = { status: 200, body: { returncode: 0, success: true, stderr: "" } };
  const hasPython = spawnSync("python", ["--version"]).status === 0;

  const executed = await ask("POST", `${path}/execute`, { command: "pwd; echo $WORKSPACE_ID >name; cat name" });
  const failed = await ask("POST", `${path}/runsh`, { command: "cat name; echo no >&2; exit 3" });
  const python = await ask("POST", `${path}/runpython`, { code: "print(open('name').read())" });
  const session = await ask("POST", `/v1/sessions/${id}/execute`, { command: "wc -l <name" });

  expect(executed).toMatchObject({ ...ran, body: { ...ran.body, stdout: `/workspace\n${id}\n`, workspace_id: id } });
  expect(failed.body).toMatchObject({ stdout: `${id}\n`, stderr: "no\n", returncode: 3, success: false });
  expect(python.body).toMatchObject(hasPython ? { stdout: `${id}\n\n`, returncode: 0 } : { returncode: 127 });
  expect(session).toMatchObject({ ...ran, body: { ...ran.body, stdout: "1\n" } });
});

test("commands are answered like by the local server", async ({ skip }) => {
  if (!world) return skip(CLUSTER_MISSING);
  const { key, stage, local } = world;
  const { id, path } = await runningWorkspace(world);
  const [execute, runSh] = [`${path}/execute`, `${path}/runsh`] as const;
  const requests: Readonly<Record<string, readonly [target: string, body?: object]>> = {
    "its success": [execute, { command: "pwd" }],
    "a session's": [`/v1/sessions/${id}/execute`, { command: "echo $NAMESPACE $USER $BUCKET_NAME" }],
    "its words in the query": [`${runSh}?command=echo%20a+b%2Bc`],
    "a failure": [runSh, { command: "echo no >&2; exit 3" }],
    "one that a signal ends": [runSh, { command: "kill -KILL $$" }],
    "one whose time is up": [execute, { command: "echo begun; sleep 60", timeout: 1 }],
    "bytes that are no text": [execute, { command: "printf 'a\\377b'" }],
    "more than is kept": [execute, { command: "yes | head -c 2000000; yes no | head -c 2000000 >&2" }],
    "a program": [`${path}/runpython`, { code: "import sys; print(sys.argv); sys.exit(4)" }],
    "a NUL character": [execute, { command: "a\0b" }],
  };

  for (const [name, [target, body]] of Object.entries(requests)) {
    const request = viewerRequest({ method: "POST", path: target, sent: { key, body } });
    const [atLocal, atZips] = [await local.ask(request), await stage.request(request)];
    expect({ name, ...toCompared(atZips) }).toEqual({ name, ...toCompared(atLocal) });
    expect([name, atLocal.status]).toEqual([name, name === "a NUL character" ? 400 : 200]);
  }
});

test("a shell is opened, runs commands in a pod one after another, and is closed", async ({ skip }) => {
  if (!world) return skip(CLUSTER_MISSING);
  const { stage, key } = world;
  const { id, path } = await runningWorkspace(world);
  const upgrade = (query: string) => stage.connect({ method: "GET", target: `${path}/shell${query}`, headers: {} });

  const refused = await upgrade("");
  const socket = await upgrade(`?api_key=${key}`);
  if (!("send" in socket)) throw new Error(`Refused: ${socket.status}`);
  await socket.send({ type: "command", command: "mkdir deep && cd deep && echo $WORKSPACE_ID" });
  await socket.send({ type: "command", command: "pwd >&2; exit 4" });
  const before = [...socket.frames];
  await stage.deliver();
  const after = [...socket.frames];
  await socket.send({ type: "exit" });
  const isOpen = !socket.isClosed();
  await stage.deliver();

  expect(refused).toMatchObject({ status: 401 });
  expect(before).toEqual([]);
  const result = { type: "command_result", current_directory: "/workspace/deep" };
  expect(after).toEqual([
    { type: "welcome", message: `Connected to workspace: ${id}`, workspace_id: id, current_directory: "/workspace" },
    expect.objectContaining({ ...result, stdout: `${id}\n`, stderr: "", returncode: 0, success: true }),
    expect.objectContaining({ ...result, stdout: "", stderr: "/workspace/deep\n", returncode: 4, success: false }),
  ]);
  expect(socket.frames.at(-1)).toEqual({ type: "exit", message: "Disconnecting from workspace" });
  expect([isOpen, socket.isClosed()]).toEqual([true, true]);
});

test("a chat message reaches the server in a session's pod, and its answer the client", async ({ skip }) => {
  if (!world) return skip(CLUSTER_MISSING);
  const { stage, ask } = world;
  const server = createServer(async (request, response) => {
    const { message } = JSON.parse(await text(request));
    response.end(JSON.stringify({ reply: `${request.method} ${request.url} ${message}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  world.serveSessionsAt((server.address() as AddressInfo).port);
  const { body } = await ask("POST", "/session/create", { user_id: "user@example.com" });
  const session = `/session/${body.uuid}`;
  const asleep = await ask("POST", `${session}/chat`, { message: "first" });
  const status = async () => [await stage.deliver(), (await ask("GET", session)).body.session.status][1];
  await expect.poll(status, { interval: 20 }).toBe("running");
  const awake = await world.delivering(ask("POST", `${session}/chat`, { message: "second" }));

  expect(asleep).toMatchObject({ status: 202, body: { status: "queued" } });
  expect(awake).toEqual({
    status: 200,
    body: { uuid: body.uuid, status: "processed", message_id: "2", pod_response: { reply: "POST /chat second" } },
  });
});

test("the ssh_command of a job leads OpenSSH through the gateway into its pod, until the job ends", async ({
  skip,
}) => {
  if (!world) return skip(CLUSTER_MISSING);
  const { stage, ask } = world;
  const gateway = await world.openGateway();
  onTestFinished(gateway.stop);

  const keys = { ssh_public_keys: [gateway.userKey] };
  const { body: submitted } = await ask("POST", "/v1/jobs/submit", {
    ...smallJob,
    ...keys,
    env_vars: { PLACE: "a pod" },
  });
  const path = `/v1/jobs/${submitted.job_id}`;
  const show = async () => [await stage.deliver(), (await ask("GET", path)).body][1];
  await expect.poll(async () => (await show()).status, { interval: 20 }).toBe("active");
  const active = await show();
  const words = await gateway.sshWords(active.ssh_command, active.ssh_host_key);
  const entered = await gateway.ssh([...words, 'echo "in $PLACE"; exit 3']);
  const open = await openEchoSession(words);
  await ask("POST", `${path}/cancel`);
  const cut = await open.ended;
  const later = await gateway.ssh([...words, "echo in"]);

  expect(active).toMatchObject({
    ssh_command: expect.stringMatching(/^ssh [a-z0-9-]+@ssh\.berth\.dev$/),
    warning: null,
  });
  expect(entered).toEqual({ code: 3, out: "in a pod\n", err: "" });
  expect(cut).toEqual([255, null]);
  expect(later).toMatchObject({ code: 255, out: "" });
  await expect.poll(async () => (await show()).ssh_command, { interval: 20 }).toBeNull();
});
