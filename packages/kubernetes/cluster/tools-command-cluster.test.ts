import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { getPods, listening, openToolsFixture, type ToolsFixture } from "../fixtures/tools-fixture.ts";

let fixture: ToolsFixture;

beforeAll(async () => {
  fixture = await openToolsFixture();
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

describe("the command of a run", () => {
  it("reaches its shell unchanged, and its end is reported", async () => {
    const odd = `a\n'"$(id) \`id\` \\ $HOME * é🚀 ${"x".repeat(16 * 1024)}`;

    const run = await fixture.applied({ command: `cat <<'END'\n${odd}\nEND\nexit 137`, env: { ODD: odd } });

    expect(await fixture.ended(run)).toMatchObject({ exitCode: 137, reason: null, started: true });
    expect(await fixture.log(run)).toBe(`${odd}\n`);
  });

  it("receives SIGTERM, and has its grace period", async () => {
    const file = join(fixture.files, randomBytes(4).toString("hex"));
    const command = `trap "echo saved >${file}; exit 0" TERM; echo began; while :; do sleep 0.05; done`;
    const run = await fixture.applied({ command });
    await fixture.eventually(
      () => fixture.log(run),
      (text) => text === "began\n",
    );

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await fixture.until(run, (seen) => seen === undefined);

    expect(readFileSync(file, "utf8")).toBe("saved\n");
  });

  it("that a signal ended reports that", async () => {
    const run = await fixture.applied({ command: "kill -SEGV $$" });

    expect(await fixture.ended(run)).toMatchObject({ exitCode: null, reason: "command was killed by signal SIGSEGV" });
  });

  it("is ready once all of its ports answer, the third one too", async () => {
    const servers = await Promise.all([1, 2, 3].map(listening));
    const ports = servers.map(({ port }) => ({ port, kind: "tcp" as const }));
    await servers[2]?.close();
    const run = await fixture.applied({ ports });
    await fixture.until(run, (seen) => seen?.state === "probe");
    const third = createServer();

    await new Promise<void>((resolve) => third.listen(ports[2]?.port, "127.0.0.1", resolve));
    await fixture.ready(run);

    await new Promise((resolve) => third.close(resolve));
    await Promise.all(servers.slice(0, 2).map((server) => server.close()));
  });
});

describe("a run of two machines", () => {
  const shares = ["two", "one"].map((node) => ({ node, units: 8 }));

  it("starts on no machine before both are ready", async () => {
    const file = join(fixture.files, randomBytes(4).toString("hex"));
    const command = `echo "$NODE_RANK" >>${file}; while :; do sleep 0.05; done`;
    // The other machine's pod has no room while this one exists.
    const otherRun = await fixture.applied({
      shares: [{ node: "one", units: 8 }],
      gpusPerMachine: 8,
      command: undefined,
    });
    await fixture.ready(otherRun);
    const run = await fixture.applied({ shares, gpusPerMachine: 8, command });
    await fixture.eventually(
      () => fixture.cluster.admin.get<{ items: { status: { phase: string } }[] }>(getPods(run)),
      ({ body }) => body.items.some(({ status }) => status.phase === "Running"),
    );
    expect(await fixture.compute.observe(run.uid, 1)).toMatchObject({ started: false, state: "unbound" });
    expect(existsSync(file)).toBe(false);

    await fixture.compute.remove(otherRun.uid, 1, { graceSeconds: 0, force: false });
    await fixture.until(run, (seen) => seen?.waitsToBegin === true);
    expect(existsSync(file)).toBe(false);

    await fixture.compute.begin(run.uid, 1);
    await fixture.ready(run);

    expect(readFileSync(file, "utf8").trim().split("\n").toSorted()).toEqual(["0", "1"]);
  });
});
