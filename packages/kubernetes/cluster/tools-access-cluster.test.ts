import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Pod, podFolder } from "#tests/cluster/kubelet/pod.ts";
import { kubernetesCompute } from "../compute.ts";
import { getPods, listening, openToolsFixture, type ToolsFixture } from "../fixtures/tools-fixture.ts";

let fixture: ToolsFixture;

beforeAll(async () => {
  fixture = await openToolsFixture();
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

describe("Jupyter", () => {
  /** Answers with its token at its address. */
  const server = `#!${process.execPath}
    const port = Number(process.argv.find((word) => word.startsWith("--port=")).slice(7));
    require("node:http").createServer((_, response) => response.end(process.env.JUPYTER_TOKEN)).listen(port, "127.0.0.1");`;
  const withJupyter = async (programs: string) => {
    const { port, close } = await listening();
    await close();
    const env = { PATH: programs };
    const run = await fixture.applied({ command: undefined, env, ports: [{ port, kind: "jupyter" }] });
    await fixture.ready(run);
    const wanted = (revision: number, token: string | null) =>
      fixture.compute.setAccess(run.uid, 1, {
        revision,
        login: "l",
        keys: [],
        jupyter: token === null ? null : { token },
      });
    const answers = () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text());
    return { run, port, wanted, answers };
  };

  it("is started with its token, with another one, and ended", async () => {
    writeFileSync(join(fixture.files, "jupyter"), server, { mode: 0o755 });
    const { run, port, wanted, answers } = await withJupyter(`${fixture.files}:/bin`);

    await wanted(1, "first");
    const on = await fixture.until(run, (seen) => seen?.jupyter?.state === "on");
    expect(on?.jupyter?.origin).toBe(`http://${on?.ports[0]?.address}`);
    expect([await answers(), on?.ports[0]?.port]).toEqual(["first", port]);

    await wanted(2, "second");
    await wanted(1, "late");
    await fixture.eventually(
      () => answers().catch(() => ""),
      (text) => text === "second",
    );

    await wanted(3, null);
    expect((await fixture.compute.observe(run.uid, 1))?.jupyter).toBeNull();
    await fixture.eventually(
      () => answers().catch(() => "ended"),
      (text) => text === "ended",
    );
  });

  it("reports its kernels through the supervisor, and is unknown if it does not answer", async () => {
    const kernels = join(fixture.files, "kernels");
    const asking = server.replace("response.end(", `response.end(require("node:fs").readFileSync("${kernels}") || `);
    writeFileSync(join(fixture.files, "jupyter"), asking, { mode: 0o755 });
    writeFileSync(kernels, '[{"execution_state":"busy"}]');
    const { run, wanted } = await withJupyter(`${fixture.files}:/bin`);
    const count = () => fixture.compute.countWork(run.uid, 1);
    expect(await count()).toBe(0);

    await wanted(1, "first");
    await fixture.until(run, (seen) => seen?.jupyter?.state === "on");
    const busy = await count();
    writeFileSync(kernels, '[{"execution_state":"idle"}]');
    const idle = await count();
    writeFileSync(kernels, "<html>");

    expect([busy, idle, await count()]).toEqual([1, 0, null]);
  });

  it.each([
    ["is not there", "", "Jupyter is not on the PATH of this environment"],
    ["ends at once", "#!/bin/sh\nexit 5\n", "Jupyter ended at once (exit code 5)"],
  ])("that %s is reported", async (_, program, reason) => {
    const programs = join(fixture.files, randomBytes(4).toString("hex"));
    mkdirSync(programs);
    if (program !== "") writeFileSync(join(programs, "jupyter"), program, { mode: 0o755 });
    const { run, wanted } = await withJupyter(`${programs}:/bin`);

    await wanted(1, "first");

    expect(await fixture.until(run, (seen) => seen?.jupyter?.state === "failed")).toMatchObject({
      jupyter: { reason },
    });
  });
});

it("keeps the current keys, serves SSH while there are any, and counts sessions", async () => {
  const server = await listening();
  const compute = kubernetesCompute({ ...fixture.options, sshPort: server.port });
  const run = await fixture.applied({ command: undefined });
  await fixture.ready(run);
  const { body } = await fixture.cluster.admin.get<{ items: [Pod] }>(getPods(run));
  const folder = podFolder(join(fixture.cluster.controlPlane.home, "pods"), body.items[0]);
  const kept = (name: string) => readFileSync(join(folder, "berth", name), "utf8");
  const enter = (revision: number, keys: readonly string[]) =>
    compute.setAccess(run.uid, 1, { revision, login: "gpu-dev-1", keys, jupyter: null });

  await enter(1, ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]);
  const words = ["/.berth/busybox", "sh", "/.berth/ssh.sh", "gpu-dev-1", String(server.port)];
  expect(kept("access/authorized_keys")).toBe("ssh-ed25519 AAAA\nssh-rsa BBBB\n");
  expect(JSON.parse(kept("access.json")).services).toEqual({ ssh: { words, env: {}, port: server.port } });
  const client = connect(server.port, "127.0.0.1");
  await fixture.eventually(
    () => compute.observe(run.uid, 1),
    (seen) => seen?.sessions === 1,
  );
  client.destroy();

  await enter(2, []);
  expect(kept("access/authorized_keys")).toBe("");
  expect(JSON.parse(kept("access.json")).services).toEqual({});
  await server.close();
});
