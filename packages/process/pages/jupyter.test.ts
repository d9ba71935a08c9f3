import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JupyterStatus } from "#core/ports/compute.ts";
import { processCompute } from "../compute.ts";
import { eventually, type Fixture, findPids, listProcesses, openFixture } from "../fixture.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import { processVolumes } from "../volumes/volumes.ts";
import { hasJupyter, runInKernel, typeInTerminal } from "./jupyter-session-fixture.ts";
import { jupyterStub, serving } from "./jupyter-stub.ts";

const token = "token-0123456789-abcdefghij-0123456789-xyz";

describe.each(["bubblewrap", "none"] as const)("Jupyter inside a run, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation });
  });
  afterEach(async () => {
    await fixture.close();
  });
  const want = (jupyter: { token: string } | null) =>
    fixture.compute.setAccess(fixture.uid, 1, { revision: 1, login: "gpu-dev-12345678", keys: [], jupyter });
  const seen = async () => (await fixture.observe())?.jupyter ?? null;
  const inState = (state: JupyterStatus["state"]) => eventually(seen, (status) => status?.state === state);
  const status = async (jupyter: JupyterStatus | null, secret = "") =>
    (await fetch(`${jupyter?.origin}/lab?token=${secret}`)).status;
  const stubs = () => {
    const node = isolation === "none" ? process.execPath : join(fixture.home, "tools/node");
    return findPids(fixture, `${node} ${join(fixture.shown, "bin/jupyter.cjs")}`);
  };

  it("starts when wanted, opens only with the token, and ends when unwanted", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    expect(await seen()).toBeNull();

    await want({ token });
    const on = await inState("on");
    const answers = [await status(on, token), await status(on), await status(on, "other")];
    await want(null);
    await eventually(seen, (status) => status === null);

    expect(on?.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(answers).toEqual([200, 403, 403]);
    await expect(status(on, token)).rejects.toThrow("fetch failed");
    expect(stubs()).toEqual([]);
  });

  it("starts in the directory of the run", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    await want({ token });
    const on = await inState("on");

    expect(await (await fetch(`${on?.origin}/lab?token=${token}`)).text()).toBe(join(fixture.directory, "0", "work"));
  });

  it.each(["/workspace", "/home/dev8"])(
    "starts in the home of a run with a disk at %s, and keeps its token elsewhere",
    async (path) => {
      const volumes = processVolumes({ home: fixture.home });
      const volume = await volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined });
      const writing = `
      const { writeFileSync, mkdirSync } = require("node:fs");
      mkdirSync(process.env.JUPYTER_RUNTIME_DIR, { recursive: true });
      writeFileSync(process.env.JUPYTER_RUNTIME_DIR + "/jpserver.json", process.env.JUPYTER_TOKEN);
      writeFileSync("notebook.ipynb", process.env.HOME + " " + process.env.USER + " " + process.env.SHELL);`;
      const env = jupyterStub(fixture, `${writing}${serving}`);
      await fixture.compute.apply(fixture.runOf({ env, mounts: [{ volume, path }] }));
      await want({ token });
      const on = await inState("on");

      const root = await (await fetch(`${on?.origin}/lab?token=${token}`)).text();
      const data = volumeData(fixture.home, volume.id);
      const user = isolation === "bubblewrap" ? "berth" : userInfo().username;

      expect(root).toBe(isolation === "bubblewrap" ? path : data);
      expect(readdirSync(data)).toEqual(["notebook.ipynb"]);
      const home = isolation === "bubblewrap" ? path : join(fixture.directory, "0/work/workspace");
      expect(readFileSync(join(data, "notebook.ipynb"), "utf8")).toBe(`${home} ${user} /bin/bash`);
    },
  );

  it("has the login variables in a kernel and a terminal of the real Jupyter", async ({ skip }) => {
    if (!hasJupyter) skip("this machine has no jupyter on its system path that this user may run");
    await fixture.compute.apply(fixture.runOf({ env: { PATH: systemPath } }));
    await want({ token });
    const jupyter = { origin: String((await inState("on"))?.origin), token };
    const names = ["LOGNAME", "USER", "SHELL", "HOME"];
    const python = `import os; print(*[os.environ.get(name) for name in ${JSON.stringify(names)}])`;
    const shell = 'echo "<$LOGNAME $USER $SHELL $HOME>"';

    const printed = await runInKernel(jupyter, python);
    const typed = await typeInTerminal(jupyter, shell, /<[^$>]*>\s/);

    const user = isolation === "bubblewrap" ? "berth" : userInfo().username;
    const login = `${user} ${user} /bin/bash ${join(fixture.directory, "0/work")}`;
    expect(printed).toBe(`${login}\n`);
    expect(typed).toContain(`<${login}>\r\n`);
  });

  it("restarts at its address when its process dies", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    await want({ token });
    const before = await inState("on");

    for (const pid of stubs()) process.kill(pid, "SIGKILL");

    await eventually(
      async () => status(before, token).catch(() => 0),
      (code) => code === 200,
    );
    expect(await inState("on")).toEqual(before);
  });

  it("outlives the stack, and a later one can end it", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    await want({ token });
    const before = await inState("on");

    const later = processCompute(fixture.options);
    await later.adopt();

    expect((await later.observe(fixture.uid, 1))?.jupyter).toEqual(before);
    await later.setAccess(fixture.uid, 1, { revision: 1, login: "gpu-dev-12345678", keys: [], jupyter: null });
    await eventually(seen, (status) => status === null);
  });

  it("takes a new token", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    await want({ token });
    await inState("on");

    await want({ token: `${token}-2` });
    expect((await seen())?.state).toBe("starting");
    const on = await inState("on");

    expect([await status(on, token), await status(on, `${token}-2`)]).toEqual([403, 200]);
    expect(stubs()).toHaveLength(1);
  });

  it.each([
    ["the whole of it", "/nowhere:/usr/bin/nowhere", "/nowhere:/usr/bin/nowhere"],
    ["the beginning of a long PATH", `/${"x".repeat(600)}`, `/${"x".repeat(499)}…`],
  ])("reports the PATH without Jupyter: %s", async (_, path, shown) => {
    await fixture.close();
    fixture = openFixture({ isolation, programs: { path, shown: [] } });
    await fixture.compute.apply(fixture.runOf({ command: "/bin/sleep 3600" }));

    await want({ token });

    expect((await inState("failed"))?.reason).toBe(`Jupyter is not on the PATH of this environment: ${shown}`);
  });

  it("reports a missing Jupyter without showing the PATH that the run sets", async () => {
    await fixture.compute.apply(
      fixture.runOf({ env: { PATH: "/nowhere:/usr/bin/nowhere" }, command: "/bin/sleep 3600" }),
    );

    await want({ token });

    expect((await inState("failed"))?.reason).toBe("Jupyter is not on the PATH of this environment");
  });

  it("is given up after it repeatedly ends at once", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture, "process.exit(9)") }));

    await want({ token });

    expect((await inState("failed"))?.reason).toBe("Jupyter ended at once (exit code 9)");
  });

  it("ends with the run without leftovers, even if it ignores SIGTERM", async () => {
    const stubborn = `process.on("SIGTERM", () => {}); process.on("SIGHUP", () => {});
      require("node:http").createServer((_, response) => response.end()).listen(
        Number(process.argv.find((word) => word.startsWith("--port=")).slice(7)), "127.0.0.1");`;
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture, stubborn) }));
    await want({ token });
    await inState("on");

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 1, force: false });

    await eventually(fixture.observe, (observation) => observation === undefined);
    await eventually(
      () => listProcesses(fixture.home, fixture.uid),
      (pids) => pids.length === 0,
    );
  });

  it("keeps its token out of arguments, and in files of mode 600 only", async () => {
    await fixture.compute.apply(fixture.runOf({ env: jupyterStub(fixture) }));
    await want({ token });
    await inState("on");

    const files = readdirSync(fixture.directory).filter((name) => statSync(join(fixture.directory, name)).isFile());
    const holding = files.filter((name) => readFileSync(join(fixture.directory, name), "latin1").includes(token));
    const lines = listProcesses(fixture.home, fixture.uid).map((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1"));

    expect(holding).toEqual(["access.json"]);
    expect(statSync(join(fixture.directory, "access.json")).mode & 0o777).toBe(0o600);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.filter((line) => line.includes(token))).toEqual([]);
  });

  it("is the real one where the machine has it", async ({ skip }) => {
    const works = spawnSync("/bin/sh", ["-c", "jupyter lab --version"], { env: { PATH: systemPath } }).status === 0;
    if (!works) skip("this machine has no jupyter on its system path that this user may run");
    await fixture.compute.apply(fixture.runOf());

    await want({ token });
    const on = await eventually(seen, (status) => status !== null && status.state !== "starting");

    expect(on).toMatchObject({ state: "on" });
    expect(await status(on, token)).toBeLessThan(400);
  });
});
