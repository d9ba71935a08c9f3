import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { eventually, type Fixture, findPids, listProcesses, openFixture } from "../fixture.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import { processVolumes } from "../volumes/volumes.ts";
import { writeIdeStub } from "./ide-stub.ts";

const password = "s3cret & 'quoted'";

describe.each(["bubblewrap", "none"] as const)("code-server in a run, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation });
  });
  afterEach(() => fixture.close());

  const node = () => (isolation === "none" ? process.execPath : join(fixture.home, "tools/node"));
  const begin = async (changes: Partial<Run> & { readonly source?: string; readonly hasNone?: boolean } = {}) => {
    const { source, hasNone, ...more } = changes;
    const bin = join(fixture.shown, "bin");
    if (!hasNone) writeIdeStub(bin, node(), source);
    const env = { PATH: `${bin}:${systemPath}`, CODE_SERVER_PASSWORD: password };
    const ports = [{ port: 8080, kind: "http" as const }];
    await fixture.compute.apply(fixture.runOf({ command: undefined, env, ports, ...more }));
    return eventually(findPage, (page) => page?.answers === true);
  };
  const findPage = async () => (await fixture.observe())?.ports[0];
  const ask = async (secret?: string) => {
    const query = secret === undefined ? "" : `?password=${encodeURIComponent(secret)}`;
    const response = await fetch(`http://${(await findPage())?.address}/${query}`);
    return response.text();
  };

  it("serves the first HTTP port, and opens only with the run's password", async () => {
    const page = await begin();

    const [stranger, wrong, ownName] = [await ask(), await ask("other"), await ask(password)];

    expect(page).toMatchObject({ kind: "http", hasLogin: true });
    expect([stranger, wrong]).toEqual(Array(2).fill("Enter the password"));
    expect(ownName).toMatch(/ from \//);
  });

  it("opens the workspace and runs in the home", async () => {
    const volumes = processVolumes({ home: fixture.home });
    const paths = ["/home/dev8/workspace", "/home/dev8"];
    const wanted = { sizeGb: 1, zone: "z", snapshotId: undefined };
    const mounts = await Promise.all(
      paths.map(async (path) => ({ volume: await volumes.createVolume({ ...wanted, token: path }), path })),
    );
    await begin({ mounts });

    const place = await ask(password);

    if (isolation === "bubblewrap") expect(place).toBe("/home/dev8/workspace from /home/dev8");
    else expect(place).toContain(" from ");
  });

  it("keeps its password out of arguments, which other users can read", async () => {
    await begin();

    const lines = listProcesses(fixture.home, fixture.uid).map((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1"));

    expect(lines.some((line) => line.includes("code-server"))).toBe(true);
    expect(lines.filter((line) => line.includes(password))).toEqual([]);
  });

  it("restarts when its process dies", async () => {
    await begin();
    const pids = () => findPids(fixture, `${node()} ${join(fixture.shown, "bin/code-server.cjs")}`);
    const before = pids();

    for (const pid of before) process.kill(pid, "SIGKILL");
    await eventually(pids, (now) => now.length === 1 && now[0] !== before[0]);

    await eventually(
      () => ask(password).catch(() => ""),
      (text) => text.includes(" from /"),
    );
  });

  it("is replaced by a page with the reason if it ends at once", async () => {
    const page = await begin({ source: "process.exit(9)" });

    expect(page?.answers).toBe(true);
    expect(await ask()).toContain("code-server ended at once (exit code 9)");
  });

  it("is replaced by a page with advice if the machine lacks it", async () => {
    const page = await begin({ hasNone: true });

    expect(page).not.toHaveProperty("hasLogin");
    expect(await ask()).toContain("install code-server, put its directory on LOCAL_PATH");
  });

  it.each([
    ["with a command, which serves the port itself", { command: 'exec "$NODE" -e "$SERVER"' }],
    ["without a password", { env: { PATH: systemPath } }],
  ])("is not started for a run %s", async (_, changes) => {
    const SERVER = 'require("node:http").createServer((_, r) => r.end("own")).listen(process.env.PORT, "127.0.0.1")';
    const bin = join(fixture.shown, "bin");
    const env = { PATH: `${bin}:${systemPath}`, CODE_SERVER_PASSWORD: password, NODE: node(), SERVER };
    const page = await begin({ env, ...changes });

    expect(page).not.toHaveProperty("hasLogin");
    expect(await ask()).not.toContain("password");
  });

  it("ends with the run", async () => {
    await begin();

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 1, force: false });

    await eventually(fixture.observe, (seen) => seen === undefined);
    await eventually(
      () => listProcesses(fixture.home, fixture.uid),
      (pids) => pids.length === 0,
    );
  });
});
