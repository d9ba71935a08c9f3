import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RunRef } from "#core/ports/compute.ts";
import { eventually, type Fixture, openFixture } from "../fixture.ts";
import { followChanges } from "./changes.ts";

let fixture: Fixture;
let aborted: AbortController;
let received: RunRef[];
let following: Promise<void>;

beforeEach(() => {
  fixture = openFixture();
  aborted = new AbortController();
  following = Promise.resolve();
});

afterEach(async () => {
  aborted.abort();
  await following;
  await fixture.close();
});

function follow(changes = (): AsyncIterable<object> => fixture.compute.changes(aborted.signal)): void {
  received = [];
  following = (async () => {
    for await (const change of changes()) if ("uid" in change) received.push(change as RunRef);
  })();
}

const count = (run: number) => received.filter((ref) => ref.run === run).length;
const signalled = (run: number, more = 0) =>
  eventually(
    () => count(run),
    (found) => found > more,
  );
const ready = (run = 1) =>
  eventually(
    () => fixture.compute.observe(fixture.uid, run),
    (seen) => seen?.state === "ready",
  );

it("signals all runs at the start", async () => {
  await Promise.all([1, 2].map((run) => fixture.compute.apply(fixture.runOf({ run }))));
  await Promise.all([ready(1), ready(2)]);

  follow();

  await Promise.all([signalled(1), signalled(2)]);
  expect(received.every(({ uid, key }) => uid === fixture.uid && key === "k|1")).toBe(true);
});

it("signals every run of a supervisor that was killed", async () => {
  await Promise.all([1, 2].map((run) => fixture.compute.apply(fixture.runOf({ run }))));
  await Promise.all([ready(1), ready(2)]);
  follow();
  await Promise.all([signalled(1), signalled(2)]);
  const before = [count(1), count(2)];

  process.kill(fixture.supervisorPid(), "SIGKILL");

  await Promise.all([signalled(1, before[0]), signalled(2, before[1])]);
});

it("signals every run of a supervisor that was killed right after its start", async () => {
  const any: RunRef = { uid: "f".repeat(32), run: 1, key: "k|1" };
  const runs = join(fixture.home, "runs");
  const followed = { home: fixture.home, runs, all: () => [any], isStarting: async () => true };
  follow(() => followChanges(followed, aborted.signal));
  const getCount = (uid: string) => () => received.filter((ref) => ref.uid === uid).length;
  await fixture.compute.apply(fixture.runOf());
  await eventually(getCount(fixture.uid), (found) => found > 0);

  process.kill(fixture.supervisorPid(), "SIGKILL");

  // Once at the start, and once more.
  await eventually(getCount(any.uid), (found) => found > 1);
});

it("signals a run once its ports answer, however late", async () => {
  const go = join(fixture.shown, "go");
  const server = join(fixture.shown, "server.cjs");
  writeFileSync(server, 'require("node:http").createServer().listen(Number(process.env.PORT), "127.0.0.1");');
  const node = fixture.compute.isolation === "none" ? process.execPath : join(fixture.home, "tools/node");
  follow();

  const command = `until [ -e ${go} ]; do sleep 0.1; done; exec ${node} ${server}`;
  await fixture.compute.apply(fixture.runOf({ command, ports: [{ port: 8000, kind: "http" }] }));
  await signalled(1);
  const begun = await fixture.compute.observe(fixture.uid, 1);
  writeFileSync(go, "");

  const seen = await eventually(
    () => (count(1) > 1 ? fixture.compute.observe(fixture.uid, 1) : undefined),
    (found) => found?.state === "ready",
  );
  expect([begun?.state, seen?.state]).toEqual(["probe", "ready"]);
});

it("ignores files that are not notes", async () => {
  const notes = join(fixture.home, "runs", ".changed");
  mkdirSync(join(notes, `${"0".repeat(32)}-r1`), { recursive: true });
  writeFileSync(join(notes, "no run"), "k|1");
  writeFileSync(join(notes, `${"1".repeat(32)}-r1`), "");
  follow();

  await fixture.compute.apply(fixture.runOf());
  await signalled(1);

  expect(new Set(received.map(({ uid }) => uid))).toEqual(new Set([fixture.uid]));
  expect(readdirSync(notes)).not.toContain(`${"1".repeat(32)}-r1`);
});

it("signals a hundred notes of a run as one, and unknown runs at most twice", async () => {
  const notes = join(fixture.home, "runs", ".changed");
  mkdirSync(notes, { recursive: true });
  const never = Array.from({ length: 100 }, (_, n) => String(n).padStart(32, "0"));
  follow();

  // This process is blocked here, so it reads no note before the last one exists.
  for (let n = 0; n < 100; n++) writeFileSync(join(notes, `${never[0]}-r1`), `k|${n}`);
  for (const uid of never.slice(1)) writeFileSync(join(notes, `${uid}-r1`), "k|1");
  await fixture.compute.apply(fixture.runOf());
  await Promise.all([ready(), signalled(1, 2 * never.length)]);
  const before = received.filter(({ uid }) => uid === fixture.uid).length;
  await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: false });
  await eventually(
    () => received.filter(({ uid }) => uid === fixture.uid).length,
    (found) => found > before,
  );

  const others = received.filter(({ uid }) => uid !== fixture.uid);
  expect(new Set(others.map(({ uid }) => uid)).size).toBe(never.length);
  expect(others).toHaveLength(2 * never.length);
  expect(others.find(({ uid }) => uid === never[0])?.key).toBe("k|99");
});

it("writes a note atomically", async () => {
  const runs = join(fixture.home, "runs");
  const name = `${"2".repeat(32)}-r1`;
  const note = join(runs, ".changed", name);
  // Too long to be written between two polls.
  const key = "k".repeat(64 * 1024 ** 2);
  const module = new URL("changes.ts", import.meta.url).href;
  const leaveNote = "import(workerData.module).then(({ noteChange }) => noteChange(...workerData.note))";
  const writer = new Worker(`const { workerData } = require("node:worker_threads"); ${leaveNote};`, {
    eval: true,
    workerData: { module, note: [runs, name, key] },
  });
  const written = once(writer, "exit");

  while (!existsSync(note)) await setImmediate();
  const { size } = statSync(note);

  await written;
  expect(size).toBe(key.length);
});
