import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { sharedType } from "#core/fleet.ts";
import { type ClusterFixture, openClusterFixture } from "#kubernetes/cluster-fixture.ts";
import { plainSession } from "#testing/catalog-requests.ts";
import { binaryPath } from "#testing/cluster/binary.ts";
import { UNZIP_MISSING } from "./deployed.ts";
import { type DeployedStage, openStage } from "./deployed-stage.ts";
import { LONG_MS } from "./stage.ts";
import { clientOf, logIn, type StageClient } from "./stage-client.ts";

/** Why nothing runs here, where nothing does. */
const MISSING =
  UNZIP_MISSING ??
  (existsSync(await binaryPath(process.env)) ? undefined : "npm run test:cluster has built no control plane yet") ??
  (spawnSync("bwrap", ["--version"]).status === 0 ? undefined : "this machine has no bubblewrap, which mounts disks");

/** A stage, and the cluster into which the access entries of its roles let the zips. */
interface World {
  readonly stage: DeployedStage;
  readonly cluster: ClusterFixture;
  readonly key: string;
  readonly ask: StageClient;
  stop(): Promise<void>;
}

let world: World | undefined;
/** Where port 8080 of every pod is on this machine. */
let sessionPort = 0;

beforeAll(async () => {
  if (MISSING === undefined) world = await openWorld();
}, LONG_MS);

afterAll(() => world?.stop(), LONG_MS);

async function openWorld(): Promise<World> {
  const stage = await openStage();
  const { eks } = stage.services;
  const cluster = await openClusterFixture(
    [{ name: "one", instanceType: sharedType.name }],
    () => ({ process: true, ports: { 8080: sessionPort } }),
    { mountsDisks: true, tokenReviews: eks.tokenReviews },
  );
  eks.open(cluster.cluster.controlPlane.accessOf("nobody"));
  await stage.runSchedule("cron/capacity");
  // It follows the cluster for minutes, and ends with the stage.
  const watch = stage.runSchedule("cron/watch");
  const key = await logIn(stage);
  return {
    stage,
    cluster,
    key,
    ask: clientOf(stage, key),
    async stop() {
      await stage.stop();
      await watch;
      await cluster.stop();
    },
  };
}

/** Hands messages to their consumers until this is answered, and passes the answer on. */
async function meanwhile<Answer>({ stage }: World, doing: Promise<Answer>): Promise<Answer> {
  let isOver = false;
  const over = doing.finally(() => {
    isOver = true;
  });
  await expect.poll(async () => [await stage.deliver(), isOver][1], { interval: 20 }).toBe(true);
  return over;
}

/** One that runs: a create answers once it does. */
async function runningWorkspace(open: World): Promise<{ readonly id: string; readonly path: string }> {
  const { body } = await meanwhile(open, open.ask("POST", "/v1/cloudrun/workspaces", plainSession));
  expect(body.status).toBe("running");
  return { id: body.id, path: `/v1/cloudrun/workspaces/${body.id}` };
}

test("commands of each kind run in a pod by their function URLs, and find what the one before has written", async ({
  skip,
}) => {
  if (!world) return skip(MISSING);
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

test("a shell is opened, runs commands in a pod one after another, and is closed", async ({ skip }) => {
  if (!world) return skip(MISSING);
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
  if (!world) return skip(MISSING);
  const { stage, ask } = world;
  const server = createServer(async (request, response) => {
    const { message } = JSON.parse(await text(request));
    response.end(JSON.stringify({ reply: `${request.method} ${request.url} ${message}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  sessionPort = (server.address() as AddressInfo).port;
  const { body } = await ask("POST", "/session/create", { user_id: "user@example.com" });
  const session = `/session/${body.uuid}`;
  const asleep = await ask("POST", `${session}/chat`, { message: "first" });
  const status = async () => [await stage.deliver(), (await ask("GET", session)).body.session.status][1];
  await expect.poll(status, { interval: 20 }).toBe("running");
  const awake = await meanwhile(world, ask("POST", `${session}/chat`, { message: "second" }));

  expect(asleep).toMatchObject({ status: 202, body: { status: "queued" } });
  expect(awake).toEqual({
    status: 200,
    body: { uuid: body.uuid, status: "processed", pod_response: { reply: "POST /chat second" } },
  });
});
