import { expect, test } from "vitest";
import { applyLate } from "#tests/faults/late-apply.ts";
import { takeAway } from "#tests/faults/take-away.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { RunNotTaken } from "../../problem.ts";
import { requestCancel, requestExtension } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("an environment goes from queued to active as soon as its messages are delivered", async () => {
  const world = await memoryWorld();

  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();

  const environment = await world.read("alice", "one");
  expect(environment.phase).toBe("active");
  expect(environment.times.endsAt).toBe((environment.run.startedAt ?? 0) + HOUR);
  expect(environment.events.timeline.map((entry) => entry.phase)).toEqual(["queued", "preparing", "active"]);
  expect(world.compute.liveUnits("h100-1") + world.compute.liveUnits("h100-2")).toBe(8);
});

test("an environment expires within a second of its end, and its machine is free again", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();

  await world.advance(HOUR + 1000);

  const environment = await world.read("alice", "one");
  expect(environment.phase).toBe("expired");
  expect(environment.end.at).toBeLessThanOrEqual((environment.times.endsAt ?? 0) + 1000);
  expect(world.compute.liveUnits("h100-1") + world.compute.liveUnits("h100-2")).toBe(0);
});

test("warnings come once each, 30, 15 and 5 minutes before the end", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));

  await world.advance(HOUR - 1000);

  const {
    events: { timeline },
  } = await world.read("alice", "one");
  const warnings = timeline.filter((entry) => entry.reason?.startsWith("Expires"));
  expect(warnings.map((entry) => entry.reason)).toEqual([
    "Expires in 30 minutes",
    "Expires in 15 minutes",
    "Expires in 5 minutes",
  ]);
});

test("warning thresholds that have passed at the start are skipped", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 0.2 }));

  await world.advance(0.2 * HOUR - 1000);

  const {
    events: { timeline },
  } = await world.read("alice", "one");
  const warnings = timeline.filter((entry) => entry.reason?.startsWith("Expires"));
  expect(warnings.map((entry) => entry.reason)).toEqual(["Expires in 5 minutes"]);
});

test("an extension moves the end permanently, and is closed as done", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();

  const action = await requestExtension(world.as("alice"), "one", HOUR);
  await world.advance(HOUR + 2000);

  const extended = await world.read("alice", "one");
  expect(action).toMatchObject({ id: 2, status: "requested" });
  expect(extended.phase).toBe("active");
  expect(extended.requests.list).toMatchObject([{ id: 2, kind: "extend", status: "done" }]);
  await world.advance(HOUR);
  expect((await world.read("alice", "one")).phase).toBe("expired");
});

test.each(["active", "preparing"])(
  "an extension holds although the machine of the %s run is silent at the time of the request",
  async (at) => {
    const delays = { imageMs: at === "active" ? 0 : 3 * HOUR };
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays, settings: { preparingMinutes: 120 } });
    await createEnvironment(world.as("alice"), newEnvironment("one"));
    await world.advance(10_000);
    world.compute.loseNode("h100-1");
    await world.advance(5 * MINUTE);
    const { extend } = world.compute;
    const deadlines: number[] = [];
    world.compute.extend = async (uid, run, until) => {
      deadlines.push(until);
      await extend(uid, run, until);
    };

    await requestExtension(world.as("alice"), "one", 4 * HOUR);
    await world.advance(75 * MINUTE);
    const silent = await world.read("alice", "one");
    world.compute.returnNode("h100-1");
    await world.advance(10 * MINUTE);

    expect(silent).toMatchObject({ phase: at, reason: expect.stringContaining("does not answer") });
    expect(silent.requests.list).toMatchObject([{ status: "done" }]);
    expect(deadlines).toHaveLength(1);
    expect((await world.read("alice", "one")).phase).toBe(at);
  },
);

test("an extension that the cluster refuses delays nothing else, and takes effect once it is accepted", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);
  const back = takeAway(world.compute, "extend");
  await requestExtension(world.as("alice"), "one", 10 * MINUTE);
  await world.advance(68 * MINUTE);
  const refused = await world.read("alice", "one");
  back();
  await world.advance(MINUTE);

  const { requests, phase } = await world.read("alice", "one");
  expect(refused).toMatchObject({ phase: "active", times: { warnedMinutes: 5 } });
  expect(refused.requests.list).toMatchObject([{ status: "requested" }]);
  expect([phase, requests.list[0]?.status]).toEqual(["active", "done"]);
});

test("an extension holds although the run is created by a call that began before it", async () => {
  const world = await memoryWorld();
  applyLate(world.compute);
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 4 }));
  await world.deliver();
  await requestExtension(world.as("alice"), "one", 4 * HOUR);

  await world.advance(7 * HOUR);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", requests: { list: [{ status: "done" }] } });
});

test("a cancelled environment ends as cancelled and the next in the queue takes its place", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.clock.advance(1);
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.deliver();
  expect((await world.read("bob", "two")).phase).toBe("queued");

  await requestCancel(world.as("alice"), "one");
  await world.deliver();

  const first = await world.read("alice", "one");
  expect(first.phase).toBe("cancelled");
  expect(first.requests.list).toMatchObject([{ kind: "cancel", status: "done" }]);
  expect((await world.read("bob", "two")).phase).toBe("active");
  expect(world.compute.peakUnits("h100-1")).toBe(8);
});

test("a command's exit code decides between completed and failed", async () => {
  const world = await memoryWorld();
  const good = await createEnvironment(world.as("alice"), newEnvironment("good", { command: "true" }));
  const bad = await createEnvironment(world.as("alice"), newEnvironment("bad", { command: "exit 3" }));
  world.compute.program(good.uid, { kind: "exits", code: 0, afterMs: 3000 });
  world.compute.program(bad.uid, { kind: "exits", code: 3, afterMs: 3000 });

  await world.advance(20_000);

  expect(await world.read("alice", "good")).toMatchObject({ phase: "completed", reason: "command exited with code 0" });
  expect(await world.read("alice", "bad")).toMatchObject({ phase: "failed", reason: "command exited with code 3" });
});

test("an unbound grant is withdrawn, its node set aside, and the environment starts elsewhere", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(environment.uid, { kind: "neverBinds", reason: "0/2 nodes are available" });
  await world.advance(58_000);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "preparing", run: { n: 1 }, step: "pod" });

  world.compute.program(environment.uid, { kind: "lives" });
  await world.advance(20_000);

  const moved = await world.read("alice", "one");
  expect(moved).toMatchObject({ phase: "active", run: { n: 2 } });
  expect(moved.run.grant?.shares[0]?.node).not.toBe("h100-1");
});

test("a run that its machine refused for good is withdrawn at once, and starts on another machine", async () => {
  const world = await memoryWorld();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const reason = "Its machine h100-1 refused it: no healthy devices present";
  const { apply } = world.compute;
  world.compute.apply = async (run) => {
    world.compute.program(uid, run.run === 1 ? { kind: "neverBinds", reason, isRejected: true } : { kind: "lives" });
    await apply(run);
  };

  await world.advance(10_000);

  const moved = await world.read("alice", "one");
  expect(moved).toMatchObject({ phase: "active", run: { n: 2 }, placement: { withdrawals: 1 } });
  expect(moved.run.grant?.shares[0]?.node).toBe("h100-2");
  expect(moved.events.timeline.map((entry) => entry.reason)).toContain(`${reason}; waiting again`);
});

test("a job that three machines refused fails with their reason", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 3 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "Its machine refused it: no", isRejected: true });

  await world.advance(10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    end: { outcome: { reason: "No machine could start it, 3 times: Its machine refused it: no" } },
  });
});

test("a grant that is unbound for lack of a volume counts as a try, and sets no machine aside", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const reason = "Its volume could not be created: no more volumes";
  world.compute.program(uid, { kind: "neverBinds", reason, lacksVolume: true });
  await world.advance(80_000);
  const back = await world.read("alice", "one");

  await createEnvironment(world.as("bob"), newEnvironment("next"));
  await requestCancel(world.as("alice"), "one");
  await world.advance(20_000);

  expect(back).toMatchObject({ run: { n: 2 }, placement: { withdrawals: 1, withdrawn: { run: 1, nodes: [] } } });
  expect(await world.read("bob", "next")).toMatchObject({ phase: "active" });
});

test("a try about which the cluster reports nothing is not counted, and sets no machine aside", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: null });
  await world.advance(8 * MINUTE);
  const waits = await world.read("alice", "one");

  world.compute.program(uid, { kind: "lives" });
  await world.advance(2 * MINUTE);

  expect(waits.run.n).toBeGreaterThan(4);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", placement: { withdrawals: 0 } });
  expect((await world.read("alice", "one")).events.timeline.map(({ reason }) => reason)).toContain(
    "The cluster reported nothing about it within a minute; waiting again",
  );
});

test("a job that the cluster never reports on fails after thirteen tries with that reason", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: null });

  await world.advance(60 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    run: { n: 13 },
    end: { outcome: { reason: "No machine could start it, 13 times: the cluster reported nothing about it" } },
  });
});

test("a try on a machine that does not answer is not counted", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 5 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/5 nodes are available" });
  const { apply } = world.compute;
  world.compute.apply = async (run) => {
    if (run.run <= 4) world.compute.loseNode(run.shares[0]?.node ?? "");
    else world.compute.program(uid, { kind: "lives" });
    await apply(run);
  };

  await world.advance(10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "active",
    run: { n: 5 },
    placement: { withdrawals: 0 },
  });
});

test("an unbound machine of two gives both back, although a command began on the other, and the run starts elsewhere", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 3 }), leavesTombstones: false });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16, hours: 24 }));
  const { apply } = world.compute;
  world.compute.apply = async (run) => {
    // Its kubelet stops answering before the run is bound.
    if (run.run === 1) world.compute.loseNode(run.shares[1]?.node ?? "");
    await apply(run);
  };
  await world.advance(30_000);
  const seen = await world.compute.observe(uid, 1);

  // Its machines are set aside for five minutes.
  await world.advance(7 * MINUTE);

  expect(seen).toMatchObject({ state: "unbound", started: true, nodes: [{}] });
  expect(await world.read("alice", "one")).toMatchObject({
    phase: "active",
    run: { n: 2 },
    placement: { withdrawals: 0 },
  });
  expect([1, 2].map((run) => world.compute.isLive(uid, run))).toEqual([false, true]);
});

test("a run that binds while its grant is being withdrawn continues: its command runs once, and its disk is backed up", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { bindMs: 65_000 }, signals: false });
  const job = newEnvironment("one", { command: "pay", disk: "data" });
  const { uid } = await createEnvironment(world.as("alice"), job);
  world.compute.program(uid, { kind: "exits", code: 0, afterMs: 1_000 });
  const { remove } = world.compute;
  world.compute.remove = async (...input) => {
    // The worker sees it unbound and is paused for as long as a step may take.
    if ((await world.read("alice", "one")).phase === "preparing") world.clock.advance(15_000);
    return remove(...input);
  };

  await world.advance(10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "completed", run: { n: 1 } });
  expect(world.compute.history().filter(({ kind }) => kind === "started")).toHaveLength(1);
  expect(world.volumes.snapshotIds()).toHaveLength(1);
});

test("an ended environment is reconciled until it is done, and then is no longer due", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  await requestCancel(world.as("alice"), "one");

  await world.advance(11 * 60_000);

  const done = await world.read("alice", "one");
  expect(done.dueAt).toBeUndefined();
  expect(done.ttl).toBeGreaterThan(0);
  expect(done.end.cleanLooks).toBe(2);
});

test("no reconcile is lost or duplicated, and an idle world sends almost nothing", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 10 }));
  await world.advance(60_000);
  const before = world.queue.sent();

  await world.advance(10 * 60_000);

  expect(world.queue.sent() - before).toBeLessThan(200);
});

test("a run that the cluster refuses ends at once with its reason and releases its capacity", async () => {
  const world = await memoryWorld();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  world.compute.program(uid, { kind: "refused", reason: "Refused by the cluster's policy images" });

  await world.advance(2_000);
  const soon = await world.read("alice", "one");
  await world.advance(MINUTE);

  expect(soon).toMatchObject({
    end: { outcome: { phase: "failed", reason: "Refused by the cluster's policy images" } },
  });
  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    reason: "Refused by the cluster's policy images",
    run: { n: 1 },
  });
  expect(world.compute.starts(uid, 1)).toBe(0);
});

test("a run that the cluster refuses for now shows why, and starts once it is accepted", async () => {
  const world = await memoryWorld();
  const { apply } = world.compute;
  let tries = 0;
  world.compute.apply = () => {
    tries += 1;
    return Promise.reject(new RunNotTaken("the quota jobs of the cluster is used up"));
  };
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(20_000);
  const waiting = await world.read("alice", "one");

  world.compute.apply = apply;
  await world.advance(MINUTE);

  const words = "The cluster did not accept the run: the quota jobs of the cluster is used up";
  expect(waiting).toMatchObject({ phase: "preparing", reason: words, attempts: 0 });
  expect(tries).toBeGreaterThan(2);
  const active = await world.read("alice", "one");
  expect(active).toMatchObject({ phase: "active", reason: null });
  expect(active.events.timeline.filter(({ reason }) => reason === words)).toHaveLength(1);
});

test("a scheduler message with changed counts adds no entry", async () => {
  const world = await memoryWorld();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available" });
  const { observe } = world.compute;
  let passes = 0;
  world.compute.observe = async (...input) => {
    const seen = await observe(...input);
    passes += 1;
    return seen?.state === "unbound" ? { ...seen, reason: `0/${passes + 1} nodes are available` } : seen;
  };

  await world.advance(50_000);

  const { events, reason } = await world.read("alice", "one");
  expect(passes).toBeGreaterThan(3);
  expect(events.timeline.filter((entry) => entry.reason?.includes("nodes are available"))).toHaveLength(1);
  expect(reason).toMatch(/^0\/\d+ nodes are available$/);
});
