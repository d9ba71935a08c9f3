import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Observation, Run } from "#core/ports/compute.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { must } from "../cluster/objects.ts";
import { type DriverFixture, openDriverFixture, untilRead } from "./driver-fixture.ts";
import { followLog } from "./follow-log.ts";

const gently = { graceSeconds: 10, force: false };
let fixture: DriverFixture;

beforeAll(async () => {
  const tools = await buildToolsImage(process.env);
  fixture = await openDriverFixture({ archives: [tools.archive], nodeGraceSeconds: 15 });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

afterEach(() => fixture.clear());

const isSilent = (seen: Observation | undefined) => (seen?.nodes[0]?.silent ?? null) !== null;
const isEnded = (seen: Observation | undefined) => seen?.state === "ended";
const onTwo = { shares: [{ node: "two", units: 1 }] };

/** Prints a numbered line ten times a second until SIGTERM. */
const counting = `n=0; trap 'echo saved; ${untilRead}; exit 3' TERM
  while :; do n=$((n+1)); echo $n; sleep 0.1; done`;

/** Returns the numbers up to that of the last whole line. */
const countedTo = (text: string) =>
  Array.from({ length: text.split("\n").length - 1 }, (_, at) => `${at + 1}\n`).join("");

/** Follows the log of a run. Each call reads on until the new text has this many lines. */
function followLines(run: Run): (lines: number) => Promise<string> {
  const readOn = followLog(fixture, run);
  let last = "";
  const countLines = (text: string) => text.split("\n").length;
  return async (lines) => {
    const wanted = countLines(last) + lines;
    last = String(await readOn((text) => countLines(text) >= wanted));
    return last;
  };
}

describe("a job whose node loses a program", () => {
  it.each(["kubelet", "containerd"] as const)(
    "continues over a kill of the %s, and its followed log too",
    async (name) => {
      const run = await fixture.applied({ command: counting });
      const read = followLines(run);
      await read(5);
      const program = fixture.getNode("one").programs[name];

      await program.kill();
      program.start();
      const text = await read(30);
      const seen = await fixture.until(run, (seen) => seen?.state === "ready");
      await fixture.compute.terminate(run.uid, 1, 10);
      await fixture.until(run, isEnded);
      const whole = await fixture.logUntil(run, (text) => text.endsWith("saved\n"));

      expect(text).toBe(countedTo(text));
      expect(seen).toMatchObject({ state: "ready", nodes: [{ name: "one", silent: null }] });
      expect(whole.startsWith(text)).toBe(true);
    },
  );

  it("keeps the end of its log if containerd reads it only after the command has ended", async () => {
    const command = "echo begun; until [ -e /tmp/go ]; do sleep 0.05; done; seq 1 20000; echo end";
    const run = await fixture.applied({ command }, { toolsImage });
    await fixture.logUntil(run, (text) => text === "begun\n");
    const { machine, programs } = fixture.getNode("one");
    const [pid = ""] = (await machine.run("pgrep", ["-f", "-n", "until . -e /tmp/go"])).split("\n");

    programs.containerd.signal("SIGSTOP");
    await machine.run("touch", [`/proc/${pid}/root/tmp/go`]);
    await machine.run("sh", ["-c", `while [ -e /proc/${pid} ]; do sleep 0.02; done`]);
    programs.containerd.signal("SIGCONT");
    const ended = await fixture.until(run, isEnded);
    const text = await fixture.logUntil(run, (text) => text !== "begun\n");

    expect(ended).toMatchObject({ exitCode: 0 });
    expect([text.length, text.slice(-20)]).toEqual([108_904, "998\n19999\n20000\nend\n"]);
  });
});

describe("a job whose machine is drained", () => {
  it("ends only without its disruption budget: its follower gets its last words, its node is not offered", async () => {
    const run = await fixture.applied({ command: counting });
    await fixture.begun(run);
    const read = followLog(fixture, run);
    await read((text) => text !== "");
    const { admin } = fixture.cluster;
    const pods = "/api/v1/namespaces/berth-environments/pods";
    const { items } = must(
      await admin.get<{ items: { metadata: { name: string } }[] }>(`${pods}?labelSelector=berth/uid=${run.uid}`),
    );
    const metadata = { name: items[0]?.metadata.name ?? "", namespace: "berth-environments" };

    must(await admin.patch("/api/v1/nodes/one", { spec: { unschedulable: true } }));
    const evict = () =>
      admin.post(`${pods}/${metadata.name}/eviction`, { apiVersion: "policy/v1", kind: "Eviction", metadata });
    const refused = await evict();
    const budget = "/apis/policy/v1/namespaces/berth-environments/poddisruptionbudgets/berth-environments";
    must(await admin.remove(budget));
    must(await evict());
    const ended = await fixture.until(run, isEnded);
    const followed = String(await read((text) => text.endsWith("saved\n")));
    const offered = await fixture.compute.listNodes();
    must(await admin.patch("/api/v1/nodes/one", { spec: { unschedulable: null } }));

    expect(refused.status).toBe(429);
    expect(ended).toMatchObject({ started: true, exitCode: null, reason: "it was evicted from its machine" });
    expect(followed).toBe(`${countedTo(followed.slice(0, -"saved\n".length))}saved\n`);
    expect(offered.map(({ name, ready, unready }) => ({ name, ready, unready }))).toEqual([
      { name: "one", ready: false, unready: "cordoned" },
      { name: "two", ready: true, unready: undefined },
    ]);
  });
});

describe("a machine that loses its power", () => {
  it("ends its job with a reason once it is back, and one that is gone releases its job only by force", async () => {
    const compute = kubernetesCompute({ ...fixture.computeOptions, getMachineState: async () => "gone" });
    const [kept, lost] = [
      await fixture.applied({ command: counting, ...onTwo }),
      await fixture.applied({ command: counting, ...onTwo }),
    ];
    await fixture.begun(kept);
    await fixture.begun(lost);

    await fixture.getNode("two").powerOff();
    const silent = await fixture.until(kept, isSilent);
    await compute.remove(lost.uid, 1, gently);
    const waits = await fixture.until(lost, (seen) => seen?.terminating === true);
    await compute.remove(lost.uid, 1, gently);
    const still = await fixture.compute.observe(lost.uid, 1);
    await compute.remove(lost.uid, 1, { ...gently, force: true });
    await fixture.until(lost, (seen) => seen === undefined);
    await fixture.getNode("two").powerOn();
    const ended = await fixture.until(kept, isEnded);

    expect(silent).toMatchObject({ started: true, nodes: [{ name: "two", silent: "notReady" }], exitCode: null });
    expect([waits, still]).toMatchObject([
      { terminating: true },
      { terminating: true, nodes: [{ silent: "notReady" }] },
    ]);
    expect(ended).toMatchObject({
      started: true,
      exitCode: null,
      reason: "its machine lost the container, as in a restart of the machine",
    });
  });
});

describe("a machine whose node object is deleted", () => {
  it("ends its job for that reason, and is not offered", async () => {
    const run = await fixture.applied({ command: counting, ...onTwo });
    await fixture.begun(run);

    must(await fixture.cluster.admin.remove("/api/v1/nodes/two"));
    const ended = await fixture.until(run, isEnded);
    const offered = await fixture.compute.listNodes();

    expect(ended).toMatchObject({ started: true, exitCode: null, reason: "its machine is gone" });
    expect(offered.map(({ name }) => name)).toEqual(["one"]);
  });
});
