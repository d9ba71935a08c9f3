import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { fixtureCatalog } from "./fixture-catalog.ts";
import { type Stack, startStack } from "./stack.ts";

const uid = "5e".repeat(16);
const patience = { timeout: PATIENCE_MS, interval: 50 };

let home: string;
let stack: Stack;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-session-"));
  const environment = { BERTH_HOME: home, PORT: "0" };
  stack = await startStack({ environment, log: silentLog(), catalog: fixtureCatalog() });
});

afterAll(async () => {
  await stack.stop();
  rmSync(home, { recursive: true });
});

test("a session on the stack has its own volumes, ports and chat, and leaves an archive", async () => {
  const { compute, volumes, blobs } = stack.runtime.ports;
  const newVolume = (token: string) => volumes.createVolume({ token, sizeGb: 5, zone: "z", snapshotId: undefined });
  const [workspace, files] = await Promise.all(["workspace", "files"].map(newVolume));
  if (!workspace || !files) throw new Error("There are no volumes");
  const run: Run = {
    uid,
    run: 1,
    key: "owner#o#env#session-manager|s",
    name: "s",
    pool: "cpu-shared",
    instanceType: "m7i.8xlarge",
    image: "node:20",
    command: undefined,
    env: {},
    shares: [{ node: null, units: 2 }],
    gpusPerMachine: 0,
    mounts: [
      { volume: workspace, path: "/workspace" },
      { volume: files, path: "/home/dev8" },
    ],
    ports: [
      { port: 22, kind: "ssh" },
      { port: 8080, kind: "http" },
    ],
    resources: { cpus: 1, memoryMb: 1_024 },
    until: Date.now() + 3_600_000,
  };

  await compute.apply(run);
  await expect.poll(async () => (await compute.observe(uid, 1))?.state, patience).toBe("ready");
  const seen = await compute.observe(uid, 1);
  const chat = { port: 8080, path: "/chat", body: '{"message":"hello"}', timeoutMs: PATIENCE_MS };
  const answer = await compute.postToPort(uid, 1, chat);
  await compute.remove(uid, 1, { graceSeconds: 1, force: false });
  await expect.poll(async () => compute.observe(uid, 1), patience).toBeUndefined();
  await volumes.startArchive(workspace.id, "archives/o/workspace-s", { uid, key: "" });
  await expect
    .poll(async () => (await volumes.findArchive("archives/o/workspace-s"))?.state, patience)
    .toBe("completed");

  expect(seen?.ports.map(({ answers }) => answers)).toEqual([true, true]);
  expect(answer).toEqual({ status: 200, body: '{"reply":"hello"}' });
  const bytes = await blobs.get("archives/o/workspace-s");
  expect(
    Buffer.from(bytes ?? [])
      .subarray(0, 2)
      .toString(),
  ).toBe("PK");
});
