import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, it as defineTest, expect } from "vitest";
import type { BoundNode, Compute, ComputeNode, Observation, Run, RunRef } from "#core/ports/compute.ts";
import { RunBound, RunRefused } from "#core/problem.ts";
import { logText } from "../fixtures/log-text.ts";
import { changesConformance } from "./changes.ts";

/** Behaviour of a command, which each Compute under test performs in its own way. */
export interface Behaviour {
  /** Lines that it prints first. */
  readonly prints: readonly string[];
  /** Exit code; undefined: it runs until it is ended. */
  readonly exits: number | undefined;
  readonly ignoresTerm?: boolean;
  /** Line that it prints between SIGTERM and its end. */
  readonly lastWords?: string;
}

/** Compute under test with at least two nodes of 8 units, and a way to let its time pass. */
export interface ComputeUnderTest {
  readonly compute: Compute;
  readonly nodes: readonly ComputeNode[];
  /** Address of the first node; that of this machine by default. */
  readonly address?: string | undefined;
  now(): number;
  pass(ms: number): Promise<void>;
  /** Returns a command with which runs of this uid behave so. */
  command(uid: string, behaviour: Behaviour): string;
  close(): Promise<void>;
}

/** Returns a new uid for each test, because an adapter may find parts of a run on the whole machine by name. */
const freshUid = () => randomBytes(16).toString("hex");
const lives = { prints: [], exits: undefined };
const gently = { graceSeconds: 10, force: false };

/** Registers a test. */
export type DefineTest = (title: string, run: () => Promise<void>) => void;

/** Conformance tests of Compute. */
export function computeConformance(open: () => Promise<ComputeUnderTest>, it: DefineTest = defineTest): void {
  const uid = freshUid();
  changesConformance(open, it);

  let test: ComputeUnderTest;
  let compute: Compute;

  beforeEach(async () => {
    test = await open();
    compute = test.compute;
  });
  afterEach(async () => {
    await test.close();
  });

  const getRun = (changes: Partial<Run> = {}): Run => ({
    uid,
    run: 1,
    key: "owner#o#env#gpu-dev|j",
    name: "training",
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: "docker.io/library/busybox",
    command: "command" in changes ? undefined : test.command(uid, lives),
    env: {},
    shares: [{ node: getNode(0).name, units: 4 }],
    gpusPerMachine: 4,
    mounts: [],
    ports: [],
    resources: null,
    until: test.now() + 3_600_000,
    ...changes,
  });
  const eventually = async <Value>(read: () => Promise<Value>, holds: (value: Value) => boolean): Promise<Value> => {
    let value = await read();
    for (let tries = 0; tries < 6_000 && !holds(value); tries += 1) {
      await test.pass(20);
      value = await read();
    }
    if (!holds(value)) throw new Error(`The condition did not become true: ${holds}, but ${JSON.stringify(value)}`);
    return value;
  };
  const getNode = (at: number): ComputeNode => {
    const node = test.nodes[at];
    if (!node) throw new Error(`There are only ${test.nodes.length} nodes`);
    return node;
  };
  const bound = (at: number): BoundNode => {
    const { name, uid, providerId } = getNode(at);
    return { name, uid, providerId, silent: null };
  };
  const observe = (run = 1) => compute.observe(uid, run);
  const ended = () => eventually(observe, (seen) => seen?.state === "ended");
  const ready = (run = 1) =>
    eventually(
      () => observe(run),
      (seen) => seen?.state === "ready",
    );
  const gone = (run = 1) => findGone(uid, run);
  const findGone = (ownName: string, run = 1) =>
    eventually(
      () => compute.observe(ownName, run),
      (seen) => seen === undefined,
    );
  const runUntilPrinted = async (behaviour: Behaviour) => {
    await compute.apply(getRun({ command: test.command(uid, behaviour) }));
    // A node may serve the log a second before it reports the start.
    await ready();
    await eventually(
      () => logText(compute.readLog(uid, 1)),
      (log) => log !== "",
    );
  };
  const stubborn = { prints: ["deaf"], exits: undefined, ignoresTerm: true };

  it("reports no run that was never applied, and ignores calls for it", async () => {
    await compute.remove(uid, 1, gently);
    await compute.extend(uid, 1, test.now() + 1_000);

    expect(await observe()).toBeUndefined();
    expect(await logText(compute.readLog(uid, 1))).toBe("");
    expect(await compute.listRuns()).toEqual([]);
  });

  it("refuses an impossible run with a message, and can remove its leftovers", async () => {
    const refusal = await compute
      .apply(getRun({ env: { "no name": "s3cret-value" } }))
      .catch((error: unknown) => error);
    await compute.remove(uid, 1, gently);

    expect(refusal).toBeInstanceOf(RunRefused);
    expect((refusal as RunRefused).message).toMatch(/\w+ \w+/);
    expect((refusal as RunRefused).message).not.toContain("s3cret-value");
    expect(await gone()).toBeUndefined();
  });

  it("lists its nodes", async () => {
    expect(await compute.listNodes()).toEqual(test.nodes);
  });

  it("lists only the nodes with the given names", async () => {
    const { name } = getNode(test.nodes.length - 1);

    const listed = await compute.listNodes(new Set([name, "unknown"]));

    expect(listed).toEqual(test.nodes.filter((node) => node.name === name));
  });

  it("assigns every node a unique uid, the same in each listing", async () => {
    const uids = (await compute.listNodes()).map((node) => node.uid);

    expect(new Set(uids).size).toBe(test.nodes.length);
    expect((await compute.listNodes()).map((node) => node.uid)).toEqual(uids);
  });

  it("reports the machine behind a node in use as running", async () => {
    expect(await compute.getMachineState(getNode(0))).toBe("running");
  });

  it("reports the node object of a uid as ready, and as missing once another machine has its name", async () => {
    const node = getNode(0);

    const said = await Promise.all([compute.findSilence(node), compute.findSilence({ ...node, uid: "no-such-uid" })]);

    expect(said).toEqual([null, "missing"]);
  });

  it("shows a run in a listing of nodes like in an observation", async () => {
    const listed = async () => {
      const nodes = await compute.listNodes();
      return nodes.flatMap(({ runs = [] }) => runs).find((run) => run.uid === uid);
    };
    await compute.apply(getRun());
    const seen = await ready();
    // Listings without runs cannot be compared.
    const mark = seen?.nodes[0]?.mark;

    expect((await eventually(listed, (run) => run?.mark === mark))?.mark).toBe(mark);
    await compute.remove(uid, 1, gently);
    expect((await eventually(listed, (run) => run === undefined || run.mark !== mark))?.mark).not.toBe(mark ?? null);
  });

  it("lists only the runs of one uid", async () => {
    const otherName = freshUid();
    await compute.apply(getRun());
    await compute.apply(getRun({ uid: otherName, shares: [{ node: getNode(1).name, units: 4 }] }));

    const listed = await Promise.all([uid, "f".repeat(32)].map((name) => compute.listRuns(name)));
    await compute.remove(otherName, 1, gently);
    await eventually(
      () => compute.observe(otherName, 1),
      (seen) => seen === undefined,
    );

    expect(listed).toEqual([[{ uid, run: 1, key: "owner#o#env#gpu-dev|j" }], []]);
  });

  it("brings a run to ready, on the nodes of its shares", async () => {
    await compute.apply(getRun());

    expect(await ready()).toMatchObject({
      state: "ready",
      started: true,
      exitCode: null,
      reason: null,
      nodes: [bound(0)],
      terminating: false,
      address: { ip: test.address ?? "127.0.0.1", port: null },
    } satisfies Partial<Observation>);
    expect(await compute.listRuns()).toEqual([{ uid, run: 1, key: "owner#o#env#gpu-dev|j" }]);
  });

  it("runs a command once however often it is applied, even concurrently", async () => {
    const run = getRun({ command: test.command(uid, { prints: ["once"], exits: undefined }) });

    await Promise.all([compute.apply(run), compute.apply(run), compute.apply(run)]);
    await ready();
    await compute.apply(run);
    await test.pass(200);

    expect(
      await eventually(
        () => logText(compute.readLog(uid, 1)),
        (log) => log !== "",
      ),
    ).toBe("once\n");
    expect(await compute.listRuns()).toHaveLength(1);
  });

  for (const code of [0, 3, 128])
    it(`reports exit code ${code}`, async () => {
      await compute.apply(getRun({ command: test.command(uid, { prints: ["bye"], exits: code }) }));

      expect(await ended()).toMatchObject({ started: true, exitCode: code, reason: null, terminating: false });
      expect(await logText(compute.readLog(uid, 1))).toBe("bye\n");
    });

  it("signals a run when it has started, has ended and is gone", async () => {
    const aborted = new AbortController();
    const received: RunRef[] = [];
    const following = (async () => {
      for await (const change of compute.changes(aborted.signal)) if ("uid" in change) received.push(change);
    })();
    const count = (run: number) => received.filter((ref) => ref.run === run).length;
    const signalled = (run: number, more: number) =>
      eventually(
        async () => count(run),
        (found) => found > more,
      );

    await compute.apply(getRun({ command: test.command(uid, { prints: ["bye"], exits: 0 }) }));
    await signalled(1, 0);
    await ended();
    await signalled(1, 0);
    await compute.apply(getRun({ run: 2 }));
    await signalled(2, 0);
    await ready(2);
    await test.pass(300);
    const before = count(2);
    await compute.remove(uid, 2, gently);
    await gone(2);
    await signalled(2, before);

    expect(received.every((ref) => ref.uid === uid && ref.key === "owner#o#env#gpu-dev|j")).toBe(true);
    aborted.abort();
    await following;
  });

  it("attributes the objects of a living run to that run, and leaves none behind", async () => {
    await compute.apply(getRun({ env: { TOKEN: "secret" } }));
    await ready();
    const living = await compute.listParts();
    await compute.remove(uid, 1, gently);
    await gone();

    expect(living).toEqual(living.map(() => ({ uid, run: 1, key: "owner#o#env#gpu-dev|j" })));
    expect(await compute.listParts()).toEqual([]);
  });

  it("stops its signals on request", async () => {
    const aborted = new AbortController();
    const following = (async () => {
      for await (const _ of compute.changes(aborted.signal));
    })();
    await test.pass(20);

    aborted.abort();

    await expect(following).resolves.toBeUndefined();
  });

  it("does not restart an ended run", async () => {
    const run = getRun({ command: test.command(uid, { prints: ["once"], exits: 0 }) });
    await compute.apply(run);
    await ended();

    await compute.apply(run);
    await test.pass(300);

    expect(await observe()).toMatchObject({ state: "ended", exitCode: 0 });
    expect(await logText(compute.readLog(uid, 1))).toBe("once\n");
  });

  it("lets a run without a command live until it is removed", async () => {
    await compute.apply(getRun({ command: undefined }));
    await ready();
    await test.pass(200);

    expect(await observe()).toMatchObject({ state: "ready" });
  });

  it("removes a living run, and its log with it", async () => {
    await compute.apply(getRun({ command: test.command(uid, { prints: ["hello"], exits: undefined }) }));
    await ready();

    await compute.remove(uid, 1, gently);
    await gone();

    expect(await compute.listRuns()).toEqual([]);
    expect(await logText(compute.readLog(uid, 1))).toBe("");
  });

  it("starts no part of a removed run with tombstones, whether it ever started or not", async () => {
    const ownName = freshUid();
    const runs = [1, 2].map((run) => getRun({ uid: ownName, run, command: test.command(ownName, lives) }));
    await compute.apply(getRun({ uid: ownName }));
    await eventually(
      () => compute.observe(ownName, 1),
      (seen) => seen?.state === "ready",
    );
    const removal = { ...gently, tombstones: 1 };
    const answers = [await compute.remove(ownName, 1, removal), await compute.remove(ownName, 2, removal)];
    // Some clusters leave no tombstones, and say so.
    expect(new Set(answers).size).toBe(1);
    if (!answers[0]) return;

    const late = await Promise.allSettled(runs.map((run) => compute.apply(run)));
    await findGone(ownName);

    expect(late).toMatchObject(late.map(() => ({ reason: { message: expect.stringContaining("removed") } })));
    await expect(compute.apply(getRun({ uid: ownName }))).rejects.toThrow("removed");
    expect([await compute.observe(ownName, 1), await compute.observe(ownName, 2)]).toEqual([undefined, undefined]);
    expect(await compute.listRuns(ownName)).toEqual([]);
  });

  it("leaves tombstones of every machine, and may repeat that", async () => {
    const ownName = freshUid();
    const shares = [0, 1].map((at) => ({ node: getNode(at).name, units: 8 }));
    const run = getRun({ uid: ownName, shares, gpusPerMachine: 8 });
    await compute.apply(run);
    // A cluster may still create a part of a run that is not bound, so its GPUs are not free yet.
    await eventually(
      () => compute.observe(ownName, 1),
      (seen) => seen?.nodes.length === 2,
    );
    const removal = { ...gently, tombstones: 2 };
    const hasTombstones = await compute.remove(ownName, 1, removal);

    expect(await compute.remove(ownName, 1, removal)).toBe(hasTombstones);
    await findGone(ownName);

    if (!hasTombstones) return;
    await expect(compute.apply(run)).rejects.toThrow("removed");
    expect(await compute.observe(ownName, 1)).toBeUndefined();
    expect(await compute.listRuns(ownName)).toEqual([]);
    expect(await compute.listParts()).toEqual([]);
  });

  it("does not change a bound run if only an unbound one is to be removed", async () => {
    await compute.apply(getRun());
    await ready();

    await expect(compute.remove(uid, 1, { ...gently, unlessBound: true })).rejects.toThrow(RunBound);
    await test.pass(1_000);

    expect(await observe()).toMatchObject({ state: "ready", terminating: false });
  });

  it("treats an ended run as bound", async () => {
    await compute.apply(getRun({ command: test.command(uid, { prints: [], exits: 0 }) }));
    await ended();

    await expect(compute.remove(uid, 1, { ...gently, unlessBound: true })).rejects.toThrow(RunBound);

    expect(await observe()).toMatchObject({ state: "ended", exitCode: 0 });
  });

  it("reports a run that never existed as removed, bound or not", async () => {
    const ownName = freshUid();
    const hasTombstones = await compute.remove(ownName, 1, { ...gently, unlessBound: true, tombstones: 1 });

    expect(await compute.observe(ownName, 1)).toBeUndefined();
    if (hasTombstones) await expect(compute.apply(getRun({ uid: ownName }))).rejects.toThrow("removed");
  });

  it("reports when a run ended", async () => {
    await compute.apply(getRun({ command: test.command(uid, { prints: [], exits: 0 }) }));
    const begun = test.now();
    const seen = await ended();

    expect(seen?.endedAt).toBeGreaterThanOrEqual(begun - 5_000);
    expect(seen?.endedAt).toBeLessThanOrEqual(test.now());
  });

  it("removes a run that has ended", async () => {
    await compute.apply(getRun({ command: test.command(uid, { prints: [], exits: 1 }) }));
    await ended();

    await compute.remove(uid, 1, gently);

    expect(await gone()).toBeUndefined();
  });

  it("gives a command that ignores SIGTERM its grace, shown as terminating, and then kills it", async () => {
    await runUntilPrinted(stubborn);
    const askedAt = test.now();

    await compute.remove(uid, 1, { graceSeconds: 4, force: false });
    await compute.remove(uid, 1, { graceSeconds: 60, force: false });

    expect(await observe()).toMatchObject({ terminating: true });
    await gone();
    expect(test.now() - askedAt).toBeGreaterThanOrEqual(4_000);
    expect(test.now() - askedAt).toBeLessThan(60_000);
  });

  it("waits for no grace when forced", async () => {
    await runUntilPrinted(stubborn);
    const askedAt = test.now();

    await compute.remove(uid, 1, { graceSeconds: 60, force: false });
    await compute.remove(uid, 1, { graceSeconds: 60, force: true });

    await gone();
    expect(test.now() - askedAt).toBeLessThan(60_000);
  });

  it("ends a command on request, and keeps its output after SIGTERM", async () => {
    const saves = { prints: ["begun"], exits: undefined, lastWords: "checkpoint saved" };
    await runUntilPrinted(saves);

    const answers = [await compute.terminate(uid, 1, 10), await compute.terminate(uid, 1, 10)];

    expect(answers).toEqual([true, true]);
    expect(await ended()).toMatchObject({ started: true, exitCode: null, terminating: false });
    // A shell may report the child that was ended with it.
    expect(await logText(compute.readLog(uid, 1))).toMatch(/^begun\n(Terminated\n)?checkpoint saved\n$/);
    await compute.remove(uid, 1, gently);
    expect(await gone()).toBeUndefined();
  });

  it("kills a command that ignores SIGTERM after its grace period", async () => {
    await runUntilPrinted(stubborn);
    const askedAt = test.now();

    await compute.terminate(uid, 1, 4);

    expect(await ended()).toMatchObject({ exitCode: null });
    expect(test.now() - askedAt).toBeGreaterThanOrEqual(4_000);
    expect(await logText(compute.readLog(uid, 1))).toMatch(/^deaf\n/);
  });

  it("ignores calls for a run that has ended or never existed", async () => {
    expect(await compute.terminate(uid, 1, 10)).toBe(true);
    await compute.apply(getRun({ command: test.command(uid, { prints: [], exits: 3 }) }));
    await ended();

    expect(await compute.terminate(uid, 1, 10)).toBe(true);

    expect(await observe()).toMatchObject({ state: "ended", exitCode: 3 });
  });

  it("may repeat a removal at any time", async () => {
    await compute.apply(getRun());
    await Promise.all([1, 2, 3].map(() => compute.remove(uid, 1, gently)));
    await gone();

    await compute.remove(uid, 1, gently);

    expect(await observe()).toBeUndefined();
  });

  it("ends a run at its limit by itself", async () => {
    await compute.apply(getRun({ until: test.now() + 700 }));

    expect(await ended()).toMatchObject({ exitCode: null, reason: expect.stringMatching(/^DeadlineExceeded/) });
  });

  it("moves the limit when it is extended", async () => {
    const until = test.now() + 5_000;
    await compute.apply(getRun({ until }));
    await ready();

    await compute.extend(uid, 1, test.now() + 60_000);
    await test.pass(until + 1_000 - test.now());

    expect(await observe()).toMatchObject({ state: "ready" });
  });

  it("never moves the limit back, even by a late call with an earlier limit", async () => {
    await compute.apply(getRun());
    await ready();

    await compute.extend(uid, 1, test.now() + 500);
    await test.pass(4_000);

    expect(await observe()).toMatchObject({ state: "ready" });
  });

  it("keeps the runs of one environment separate", async () => {
    await compute.apply(getRun());
    await compute.apply(getRun({ run: 2, shares: [{ node: getNode(1).name, units: 4 }] }));
    await Promise.all([ready(1), ready(2)]);

    await compute.remove(uid, 1, gently);
    await gone(1);

    expect(await observe(2)).toMatchObject({ state: "ready", nodes: [bound(1)] });
    expect(await compute.listRuns()).toEqual([{ uid, run: 2, key: "owner#o#env#gpu-dev|j" }]);
  });

  it("reports Jupyter's address, or why it has none, only while Jupyter is wanted", async () => {
    const access = {
      revision: 1,
      login: "gpu-dev-12345678",
      keys: ["ssh-ed25519 AAAA"],
      jupyter: { token: "t".repeat(43) },
    };
    await compute.apply(getRun());
    expect(await ready()).toMatchObject({ jupyter: null });

    await compute.setAccess(uid, 1, access);
    await compute.setAccess(uid, 1, access);
    const received = await eventually(observe, (seen) => !["starting", undefined].includes(seen?.jupyter?.state));
    await compute.setAccess(uid, 1, { ...access, jupyter: null });
    const off = await eventually(observe, (seen) => seen?.jupyter === null);

    const { state, origin, reason } = received?.jupyter ?? {};
    expect(state === "on" ? origin : reason).toMatch(state === "on" ? /^http:\/\/\d+(\.\d+){3}:\d+$/ : /Jupyter/);
    expect(state === "on" ? reason : origin).toBeNull();
    expect(off).toMatchObject({ state: "ready" });
  });

  it("applies the newest access in any order of arrival", async () => {
    const access = { revision: 8, login: "gpu-dev-12345678", keys: ["ssh-ed25519 AAAA"], jupyter: null };
    await compute.apply(getRun());
    await ready();

    await compute.setAccess(uid, 1, access);
    await compute.setAccess(uid, 1, { ...access, revision: 7, jupyter: { token: "t".repeat(43) } });

    expect(await observe()).toMatchObject({ state: "ready", jupyter: null });
  });

  it("admits no user to a removed run", async () => {
    await compute.setAccess(uid, 1, { revision: 1, login: "gpu-dev-12345678", keys: [], jupyter: null });

    expect(await observe()).toBeUndefined();
    expect(await compute.listRuns()).toEqual([]);
  });

  it("runs on several machines, in the order of the shares", async () => {
    const shares = [
      { node: getNode(1).name, units: 8 },
      { node: getNode(0).name, units: 8 },
    ];

    await compute.apply(getRun({ shares, gpusPerMachine: 8, mounts: [], ports: [], resources: null }));
    // Like the step of the preparation, this begins a run once all its machines are there.
    const begun = async () => {
      const seen = await observe();
      if (seen?.waitsToBegin) await compute.begin(uid, 1);
      return seen;
    };

    expect(await eventually(begun, (seen) => seen?.state === "ready")).toMatchObject({
      nodes: [bound(1), bound(0)],
    });
  });

  it("keeps the newest MiB of the output", async () => {
    const lines = Array.from({ length: 40_000 }, (_, index) => `line ${index} of some that are all rather long`);
    const text = lines.map((line) => `${line}\n`).join("");
    await compute.apply(getRun({ command: test.command(uid, { prints: lines, exits: 0 }) }));
    await ended();

    const log = await compute.readLog(uid, 1);

    expect(new TextDecoder().decode(log.bytes)).toBe(text.slice(-1024 * 1024));
    expect(log.start).toBe(text.length - 1024 * 1024);
  });

  it("names the position of output that repeats itself for more than a MiB", async () => {
    const lines = Array.from({ length: 30_000 }, () => "the same line again and again, for longer than a MiB");
    const text = lines.map((line) => `${line}\n`).join("");
    await compute.apply(getRun({ command: test.command(uid, { prints: lines, exits: 0 }) }));
    const early = await eventually(
      () => compute.readLog(uid, 1),
      ({ bytes }) => bytes.length > 0,
    );
    await ended();
    const cursor = { position: early.start + early.bytes.length, mark: early.mark };

    const [late, again] = [await compute.readLog(uid, 1, cursor), await compute.readLog(uid, 1)];

    expect([late.start, late.bytes.length]).toEqual([text.length - 1024 * 1024, 1024 * 1024]);
    expect(again.start).toBe(late.start);
  });
}
