import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { runEntry } from "#kubernetes/access/run-entry.ts";
import { rootOwned, writeImage } from "../../scripts/images/oci-archive.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { buildStaticPrograms } from "../../scripts/images/tools-programs.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { debianImage, pauseImage } from "./images.ts";
import type { MachineProcess } from "./machine.ts";
import { createSshClient, type SshClient } from "./ssh-client.ts";

/** An image as those of PyTorch are: its `python` is on a PATH that no shell has by default. It has no bash. */
const condaImage = "localhost/berth-conda:1";
const condaPath = "/opt/conda/bin:/usr/local/bin:/bin";

let fixture: DriverFixture;
let client: SshClient;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "berth-tools-nodes-"));
  client = await createSshClient();
  const [tools, conda] = [await buildToolsImage(process.env), await writeCondaImage(scratch)];
  const nodes = [{ name: "one", instanceType: "p5.48xlarge" }];
  fixture = await openDriverFixture({ nodes, archives: [tools.archive, conda], toolsImage, sshPort: 2222 });
});

afterEach(() => fixture.clear());

// A start that fails leaves no fixture.
afterAll(async () => {
  await (fixture as DriverFixture | undefined)?.stop();
  await client.remove();
  await rm(scratch, { recursive: true });
});

async function writeCondaImage(folder: string): Promise<string> {
  const root = join(folder, "conda");
  for (const name of ["bin", "etc", "root", "tmp", "opt/conda/bin"]) await mkdir(join(root, name), { recursive: true });
  await copyFile(join(await buildStaticPrograms(process.env), "busybox"), join(root, "bin/busybox"));
  await symlink("busybox", join(root, "bin/sh"));
  await writeFile(join(root, "opt/conda/bin/python"), '#!/bin/sh\necho "conda $*"\n', { mode: 0o755 });
  const path = join(folder, "conda.tar");
  const config = { Env: [`PATH=${condaPath}`, "CUDA_HOME=/usr/local/cuda"] };
  await writeImage(path, { name: condaImage, root, config, tar: rootOwned, isCompressed: false });
  return path;
}

const ready = (run: Run) => fixture.until(run, (seen) => seen?.state === "ready");

/** Runs until it is removed. */
const waiting = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

describe("a run with the tools image on a real node", () => {
  it("has the supervisor as its first process, and is ready once each of its ports is listened on", async () => {
    const command = "until [ -e /tmp/go ]; do sleep 0.1; done; exec python3 -m http.server 8080";
    const run = await fixture.applied({ command, ports: [{ port: 8080, kind: "http" }] });

    const before = await fixture.until(run, (seen) => seen?.state === "probe");
    const words = await fixture.exec(run, ["python3", "-c", "print(open('/proc/1/cmdline').read().split('\\0')[:2])"]);
    await fixture.exec(run, ["touch", "/tmp/go"]);
    const after = await ready(run);

    expect(before?.ports).toMatchObject([{ port: 8080, answers: false }]);
    expect(words.stdout).toBe("['/.berth/supervisor', 'run']\n");
    expect(after?.ports).toMatchObject([{ port: 8080, answers: true }]);
  });

  it.each([
    ["an exit code", "exit 42", 42, null],
    ["a signal", "kill -9 $$", null, "command was killed by signal SIGKILL"],
    ["the exit code that a shell gives for a signal", "exit 137", 137, null],
    ["a command that is not there", "exec /no/such/program", 127, null],
  ])("ends with %s, and with its last words", async (_, end, exitCode, reason) => {
    const run = await fixture.applied({ command: `echo last words; ${end}` });

    const ended = await fixture.until(run, (seen) => seen?.state === "ended");

    expect(ended).toMatchObject({ started: true, exitCode, reason });
    expect(await fixture.logUntil(run, (log) => log.includes("\n"))).toContain("last words\n");
  });

  it("takes commands in an image that has nothing but one program", async () => {
    const run = await fixture.applied({ image: pauseImage, command: undefined });
    await ready(run);

    const status = await fixture.exec(run, ["sh", "-c", "echo $((6 * 7)); ls / | grep -c pause; exit 3"]);

    expect(status).toMatchObject({ exitCode: 3, stdout: "42\n1\n" });
  });
});

describe("SSH over a node port", () => {
  const login = "gpu-dev-1";
  let ports: MachineProcess | undefined;

  afterEach(async () => {
    ports?.signal("SIGKILL");
    await ports?.ended;
    ports = undefined;
  });

  /** Serves the node ports of the first node, as kube-proxy would. */
  function serveNodePorts(): void {
    const [node] = fixture.cluster.nodes;
    const program = fileURLToPath(new URL("node-ports-fixture.ts", import.meta.url));
    const env = { NODE_PORTS_ACCESS: JSON.stringify(fixture.cluster.controlPlane.getAccess("admin")) };
    ports = node?.machine.start("node-ports", process.execPath, [program, node.name], env);
  }

  const enter = (run: Run) =>
    fixture.compute.setAccess(run.uid, 1, { revision: 1, login, keys: [client.key], jupyter: null });

  /** Starts a run, and returns the words of its SSH clients before their own, with the address last. */
  async function entered(changes: Partial<Run>): Promise<{ run: Run; words: string[]; host: string; port: string }> {
    serveNodePorts();
    const run = await fixture.applied({ command: waiting, ...changes });
    await ready(run);
    await enter(run);
    return { run, ...(await getAddress(run)) };
  }

  async function getAddress(run: Run): Promise<{ words: string[]; host: string; port: string }> {
    const address = (await fixture.compute.observe(run.uid, 1))?.address;
    const [host, port] = [`${login}@${address?.ip}`, String(address?.port)];
    return { host, port, words: [...client.options, "-p", port, host] };
  }

  async function untilPodServesSsh(run: Run): Promise<void> {
    const words = ["python3", "-c", "import socket; print(socket.create_connection(('127.0.0.1', 2222)).recv(4))"];
    while (!(await fixture.exec(run, words)).stdout.includes("SSH-"));
  }

  it("shows its port only once the node serves it, and the first connection succeeds", async () => {
    const run = await fixture.applied({ command: waiting });
    await ready(run);
    const entering = enter(run);
    await untilPodServesSsh(run);
    const before = (await fixture.compute.observe(run.uid, 1))?.address;
    serveNodePorts();
    await entering;
    const { words } = await getAddress(run);

    expect(before).toEqual({ ip: expect.any(String), port: null });
    expect(await client.run("ssh", [...words, "echo in"])).toEqual({ code: 0, stdout: "in\n", stderr: "" });
  });

  it("has the image's PATH and variables, in an image without bash", async () => {
    const { words } = await entered({ image: condaImage });

    const python = await client.run("ssh", [
      ...words,
      'python -m train; echo "$PATH $CUDA_HOME"; env | grep -c BERTH_IMAGE',
    ]);
    const terminal = await client.run("ssh", ["-tt", ...words], "python; exit 6\n");
    const script = await client.run("ssh", [...words, "sh -s"], "python from a script\nexit 7\n");
    const wrong = await client.run("ssh", [...words, "python3"]);

    expect(python).toEqual({ code: 1, stdout: `conda -m train\n${condaPath} /usr/local/cuda\n0\n`, stderr: "" });
    expect(terminal).toMatchObject({ code: 6, stdout: expect.stringContaining("conda ") });
    expect(script).toMatchObject({ code: 7, stdout: "conda from a script\n" });
    expect(wrong).toMatchObject({ code: 127 });
  });

  it("keeps output and exit code of a command at a terminal whose client has no input", async () => {
    const { words } = await entered({});

    const plain = await client.run("ssh", ["-tt", ...words, "sleep 0.5; tty; exit 4"]);
    const long = await client.run("ssh", ["-tt", ...words, "seq 1 50000; echo end"]);
    const some = await client.run("ssh", ["-tt", ...words, "read line; echo got $line; exit 5"], "one line\n");
    const killed = await client.run("ssh", [...words, "kill -TERM $$"]);

    expect(plain).toMatchObject({ code: 4, stdout: expect.stringMatching(/^\/dev\/pts\/\d+\r\n$/) });
    expect(long.code).toBe(0);
    expect(long.stdout.split("\r\n").slice(-3)).toEqual(["50000", "end", ""]);
    expect(some).toMatchObject({ code: 5, stdout: expect.stringContaining("got one line") });
    // OpenSSH's client has no other code for a signal.
    expect(killed.code).toBe(255);
  });

  it("copies by scp of OpenSSH 9, by its old protocol, and by sftp", async () => {
    const { host, port } = await entered({ image: condaImage });
    const bytes = randomBytes(3_000_001);
    await writeFile(client.file("weights é '$x"), bytes, { mode: 0o640 });
    const scp = [...client.options, "-P", port, "-p"];
    const batch = ["mkdir box", `put "${client.file("weights é '$x")}" box/first`, "rename box/first box/second"];

    const up = await client.run("scp", [...scp, client.file("weights é '$x"), `${host}:/tmp/up`]);
    const down = await client.run("scp", [...scp, `${host}:/tmp/up`, client.file("down")]);
    const old = await client.run("scp", [...scp, "-O", `${host}:/tmp/up`, client.file("old")]);
    const missing = await client.run("scp", [...scp, `${host}:/tmp/none`, client.file("none")]);
    const sftp = await client.run("sftp", [...client.options, "-P", port, "-b", "-", host], `${batch.join("\n")}\n`);

    expect([up, down, old]).toEqual(Array(3).fill({ code: 0, stdout: "", stderr: "" }));
    const copies = await Promise.all(["down", "old"].map((name) => readFile(client.file(name))));
    expect(copies.map((copy) => copy.equals(bytes))).toEqual([true, true]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("No such file") });
    expect(sftp.code).toBe(0);
  });
});

describe("a session through the API server", () => {
  it("has the image's PATH, its exit code, and a terminal of the wanted size", async () => {
    const run = await fixture.applied({ image: condaImage, command: waiting });
    await ready(run);
    const entry = runEntry(fixture.computeOptions);
    const id = { uid: run.uid, run: 1 };
    const open = async (words: readonly string[], terminal?: { columns: number; rows: number }) => {
      const session = await entry.open(id, { words, env: { A: "b" }, terminal });
      onTestFinished(() => session.close());
      return { stdout: await text(session.output), code: await session.ended };
    };

    const plain = await open(["sh", "-c", 'python; echo "$A"; exit 9']);
    // The size arrives after the start of the command, as with kubectl.
    const size = 'until size=$(busybox stty size 2>/dev/null) && [ -n "$size" ]; do :; done; echo "$size"; exit 10';
    const terminal = await open(["sh", "-c", size], { columns: 91, rows: 33 });

    expect(plain).toEqual({ stdout: "conda \nb\n", code: 9 });
    expect(terminal).toEqual({ stdout: "33 91\r\n", code: 10 });
  });
});

describe("a run whose tools are missing", () => {
  it("ends without having started, and its reason names the tools image", async () => {
    const run = await fixture.applied({ command: "true" }, { toolsImage: debianImage });

    const ended = await fixture.until(run, (seen) => seen?.state === "ended");

    expect(ended).toMatchObject({
      started: false,
      exitCode: null,
      reason: "The tools of TOOLS_IMAGE could not be started: its image has no /tools/supervisor",
    });
  });
});
