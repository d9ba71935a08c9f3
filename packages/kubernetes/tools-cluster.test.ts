import { randomBytes } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Observation, Run } from "#core/ports/compute.ts";
import type { Exec } from "#core/ports/exec.ts";
import { toolsPath } from "#testing/cluster/tools-binaries.ts";
import { execConformance } from "#testing/conformance/exec.ts";
import { behavioursIn } from "./behaviours-trial.ts";
import { type ClusterTrial, openClusterTrial, trialRun } from "./cluster-trial.ts";
import { kubernetesCompute } from "./compute.ts";

let trial: ClusterTrial;

beforeAll(async () => {
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));
  const tools = await toolsPath(process.env);
  trial = await openClusterTrial(nodes, undefined, { tools });
});

afterEach(() => trial.clear());
afterAll(() => trial.stop());

async function applied(changes: Partial<Run>): Promise<Run> {
  const run = trialRun(changes);
  await trial.compute.apply(run);
  return run;
}

const until = ({ uid }: Run, holds: (seen: Observation | undefined) => boolean) =>
  trial.eventually(() => trial.compute.observe(uid, 1), holds);
const log = ({ uid }: Run) => trial.compute.readLog(uid, 1);
const ended = (run: Run) => until(run, (seen) => seen?.state === "ended");
const ready = (run: Run) => until(run, (seen) => seen?.state === "ready");

describe("kubernetes compute with the tools image", () => {
  execConformance(async () => {
    const run = await applied({ command: undefined });
    await ready(run);
    return {
      compute: trial.compute,
      applied: { uid: run.uid, run: 1 },
      pass: sleep,
      close: trial.clear,
      ...behavioursIn(trial.files),
    };
  });
});

describe("the command of a run", () => {
  it("reaches its shell to the letter, and is seen to end as it did", async () => {
    const odd = `a\n'"$(id) \`id\` \\ $HOME * é🚀 ${"x".repeat(16 * 1024)}`;

    const run = await applied({ command: `cat <<'END'\n${odd}\nEND\nexit 137`, env: { ODD: odd } });

    expect(await ended(run)).toMatchObject({ exitCode: 137, reason: null, started: true });
    expect(await log(run)).toBe(`${odd}\n`);
  });

  it("hears that it is to end, and has its time for it", async () => {
    const file = join(trial.files, randomBytes(4).toString("hex"));
    const command = `trap "echo saved >${file}; exit 0" TERM; echo began; while :; do sleep 0.05; done`;
    const run = await applied({ command });
    await trial.eventually(
      () => log(run),
      (text) => text === "began\n",
    );

    await trial.compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await until(run, (seen) => seen === undefined);

    expect(readFileSync(file, "utf8")).toBe("saved\n");
  });

  it("that a signal ended is told so", async () => {
    const run = await applied({ command: "kill -SEGV $$" });

    expect(await ended(run)).toMatchObject({ exitCode: null, reason: "command was killed by signal SIGSEGV" });
  });

  it("is ready once every port that it serves answers, the third one too", async () => {
    const servers = await Promise.all([1, 2, 3].map(listening));
    const ports = servers.map(({ port }) => ({ port, kind: "tcp" as const }));
    await servers[2]?.close();
    const run = await applied({ ports });
    await until(run, (seen) => seen?.state === "probe");
    const third = createServer();

    await new Promise<void>((resolve) => third.listen(ports[2]?.port, "127.0.0.1", resolve));
    await ready(run);

    await new Promise((resolve) => third.close(resolve));
    await Promise.all(servers.slice(0, 2).map((server) => server.close()));
  });
});

describe("a run of two machines", () => {
  const shares = ["two", "one"].map((node) => ({ node, units: 8 }));

  it("begins on none of them before both are there", async () => {
    const file = join(trial.files, randomBytes(4).toString("hex"));
    const command = `echo "$NODE_RANK" >>${file}; while :; do sleep 0.05; done`;
    // The other machine's pod has no room: it waits for as long as this one is there.
    const other = await applied({ shares: [{ node: "one", units: 8 }], gpusPerMachine: 8, command: undefined });
    await ready(other);
    const run = await applied({ shares, gpusPerMachine: 8, command });
    await trial.eventually(
      () => trial.cluster.admin.get<{ items: { status: { phase: string } }[] }>(podsOf(run)),
      ({ body }) => body.items.some(({ status }) => status.phase === "Running"),
    );
    expect(await trial.compute.observe(run.uid, 1)).toMatchObject({ started: false, state: "unbound" });
    expect(existsSync(file)).toBe(false);

    await trial.compute.remove(other.uid, 1, { graceSeconds: 0, force: false });
    await until(run, (seen) => seen?.waitsToBegin === true);
    expect(existsSync(file)).toBe(false);

    await trial.compute.begin(run.uid, 1);
    await ready(run);

    expect(readFileSync(file, "utf8").trim().split("\n").toSorted()).toEqual(["0", "1"]);
  });
});

describe("Jupyter", () => {
  /** Answers with the token that it was given, where it was told to listen. */
  const server = `#!${process.execPath}
    const port = Number(process.argv.find((word) => word.startsWith("--port=")).slice(7));
    require("node:http").createServer((_, response) => response.end(process.env.JUPYTER_TOKEN)).listen(port, "127.0.0.1");`;
  const withJupyter = async (programs: string) => {
    const { port, close } = await listening();
    await close();
    const env = { PATH: programs };
    const run = await applied({ command: undefined, env, ports: [{ port, kind: "jupyter" }] });
    await ready(run);
    const wanted = (revision: number, token: string | null) =>
      trial.compute.setAccess(run.uid, 1, {
        revision,
        login: "l",
        keys: [],
        jupyter: token === null ? null : { token },
      });
    const told = () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text());
    return { run, port, wanted, told };
  };

  it("is started with its token, and with another one, and ended", async () => {
    writeFileSync(join(trial.files, "jupyter"), server, { mode: 0o755 });
    const { run, port, wanted, told } = await withJupyter(`${trial.files}:/bin`);

    await wanted(1, "first");
    const on = await until(run, (seen) => seen?.jupyter?.state === "on");
    expect(on?.jupyter?.origin).toBe(`http://${on?.ports[0]?.address}`);
    expect([await told(), on?.ports[0]?.port]).toEqual(["first", port]);

    await wanted(2, "second");
    await wanted(1, "late");
    await trial.eventually(
      () => told().catch(() => ""),
      (text) => text === "second",
    );

    await wanted(3, null);
    expect((await trial.compute.observe(run.uid, 1))?.jupyter).toBeNull();
    await trial.eventually(
      () => told().catch(() => "ended"),
      (text) => text === "ended",
    );
  });

  it.each([
    ["is not there", "", "Jupyter is not on the PATH of this environment"],
    ["ends at once", "#!/bin/sh\nexit 5\n", "Jupyter ended at once (exit code 5)"],
  ])("that %s says so", async (_, program, reason) => {
    const programs = join(trial.files, randomBytes(4).toString("hex"));
    mkdirSync(programs);
    if (program !== "") writeFileSync(join(programs, "jupyter"), program, { mode: 0o755 });
    const { run, wanted } = await withJupyter(`${programs}:/bin`);

    await wanted(1, "first");

    expect(await until(run, (seen) => seen?.jupyter?.state === "failed")).toMatchObject({ jupyter: { reason } });
  });
});

it("keeps the keys of those who may enter, serves SSH while there are any, and counts who is there", async () => {
  const server = await listening();
  const compute = kubernetesCompute({ ...trial.options, sshPort: server.port });
  const run = await applied({ command: undefined });
  await ready(run);
  const { body } = await trial.cluster.admin.get<{ items: { metadata: { uid: string } }[] }>(podsOf(run));
  const pod = join(trial.cluster.controlPlane.home, "pods", body.items[0]?.metadata.uid ?? "");
  const kept = (name: string) => readFileSync(join(pod, "berth", name), "utf8");
  const enter = (revision: number, keys: readonly string[]) =>
    compute.setAccess(run.uid, 1, { revision, login: "gpu-dev-1", keys, jupyter: null });

  await enter(1, ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]);
  const words = ["/.berth/busybox", "sh", "/.berth/ssh.sh", "gpu-dev-1", String(server.port)];
  expect(kept("access/authorized_keys")).toBe("ssh-ed25519 AAAA\nssh-rsa BBBB\n");
  expect(JSON.parse(kept("access.json")).services).toEqual({ ssh: { words, env: {}, port: server.port } });
  const client = connect(server.port, "127.0.0.1");
  await trial.eventually(
    () => compute.observe(run.uid, 1),
    (seen) => seen?.sessions === 1,
  );
  client.destroy();

  await enter(2, []);
  expect(kept("access/authorized_keys")).toBe("");
  expect(JSON.parse(kept("access.json")).services).toEqual({});
  await server.close();
});

describe("a command beside it", () => {
  const plain = { id: "a", words: ["true"], stdin: "", env: {}, directory: undefined, timeoutMs: 20_000 };
  const ran = async (run: Run, changes: Partial<Exec>) => {
    await trial.compute.startExec(run.uid, 1, { ...plain, ...changes });
    return trial.eventually(
      () => trial.compute.readExec(run.uid, 1, changes.id ?? plain.id, 1_000),
      (seen) => seen?.state === "ended",
    );
  };

  it("needs nothing of its image, and has what it was given to the letter", async () => {
    const odd = "a b\n'\"$(id) `id` \\ $HOME * é🚀\n";
    const run = await applied({ command: undefined, env: { PATH: "/nowhere", FROM_RUN: odd } });
    await ready(run);
    const script =
      "process.stdin.on('data', (d) => console.log(JSON.stringify([process.argv.slice(1), String(d), process.env.A, process.env.FROM_RUN])))";

    const words = [process.execPath, "-e", script, odd, "", "-n"];
    const sight = await ran(run, { words, stdin: odd, env: { A: odd } });

    expect(JSON.parse(sight?.stdout ?? "")).toEqual([[odd, "", "-n"], odd, odd, odd]);
    expect(await ran(run, { id: "b", words: ["no-such-program"] })).toMatchObject({ exitCode: 127 });
  });

  it("leaves nothing of it behind when its run is gone", async () => {
    const run = await applied({ command: undefined });
    await ready(run);
    const words = ["/bin/sh", "-c", "echo $$; (trap '' TERM; while :; do sleep 0.1; done) & wait"];
    await trial.compute.startExec(run.uid, 1, { ...plain, words });
    const sight = await trial.eventually(
      () => trial.compute.readExec(run.uid, 1, "a", 100),
      (seen) => seen?.stdout !== "",
    );

    await trial.compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await until(run, (seen) => seen === undefined);

    expect(existsSync(`/proc/${sight?.stdout.trim()}`)).toBe(false);
    expect(globSync(`/tmp/.berth-${run.uid}*`)).toEqual([]);
  });

  it.each<[string, Partial<Exec>]>([
    ["an id that is a path", { id: "../x" }],
    ["a variable that is none", { env: { "A=B;": "c" } }],
    ["a NUL character", { words: ["a\0b"] }],
  ])("is refused with %s", async (_, changes) => {
    const run = await applied({ command: undefined });
    await ready(run);

    await expect(trial.compute.startExec(run.uid, 1, { ...plain, ...changes })).rejects.toThrow();
  });
});

async function listening() {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, close: () => new Promise((resolve) => server.close(resolve)) };
}

const podsOf = ({ uid }: Run) => `/api/v1/namespaces/berth-environments/pods?labelSelector=berth/uid=${uid}`;
