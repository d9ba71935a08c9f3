import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ComputeNode, Observation, Run } from "#core/ports/compute.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { pauseImage } from "./images.ts";

/** Most processes and threads of a pod (KubeletConfiguration v1beta1, podPidsLimit). */
const PIDS = 100;
let fixture: DriverFixture;

beforeAll(async () => {
  const kubelet = { podPidsLimit: PIDS };
  const node = { name: "one", instanceType: "m7i.8xlarge", diskMb: 768, kubelet };
  fixture = await openDriverFixture({ nodes: [node] });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

afterEach(() => fixture.clear());

/** Applies a run with a small part of the node. Its disk is in memory, so what it writes counts as memory, too. */
function applied(changes: Partial<Run>): Promise<Run> {
  const resources = { cpus: 1, memoryMb: 256 };
  return fixture.applied({ instanceType: "m7i.8xlarge", gpusPerMachine: 0, resources, ...changes });
}

async function endOf(run: Run): Promise<Pick<Observation, "started" | "exitCode" | "reason"> | undefined> {
  const seen = await fixture.until(run, (seen) => seen?.state === "ended");
  return seen && { started: seen.started, exitCode: seen.exitCode, reason: seen.reason };
}

/** Runs the commands at once, and returns their ends. */
async function endsOf(commands: readonly string[]) {
  return Promise.all(commands.map(async (command) => endOf(await applied({ command }))));
}

const started = true;
const waits = "echo begun; while :; do sleep 0.1; done";
const eats = "python3 -c 'bytearray(1 << 30)'";
const outOfMemory = "command was killed by signal SIGKILL: it used more memory than it may";

describe("a command on a real node", () => {
  it("that uses more memory than it may is killed, and says so", async () => {
    expect(await endsOf([`exec ${eats}`, `${eats}; exit $?`])).toEqual([
      { started, exitCode: null, reason: outOfMemory },
      { started, exitCode: null, reason: outOfMemory },
    ]);
  });

  it("whose child alone was killed for its memory has its own exit code", async () => {
    expect(await endsOf([`${eats}; echo killed; exit 0`, `${eats} || exit 3`])).toEqual([
      { started, exitCode: 0, reason: null },
      { started, exitCode: 3, reason: null },
    ]);
  });

  it("has its exit code, or the signal that a shell reports by it", async () => {
    const signal = (name: string) => ({
      started,
      exitCode: null,
      reason: `command was killed by signal ${name}`,
    });

    const ends = await endsOf([
      "no-such-program",
      "/etc/passwd",
      "exit 255",
      "exit 143",
      "sh -c 'kill -9 $$'; exit $?",
      "python3 -c 'import os; os.abort()'; exit $?",
    ]);

    expect(ends).toEqual([
      { started, exitCode: 127, reason: null },
      { started, exitCode: 126, reason: null },
      { started, exitCode: 255, reason: null },
      signal("SIGTERM"),
      signal("SIGKILL"),
      signal("SIGABRT"),
    ]);
  });

  it("never starts in an image without a shell, and the image's own command gets SIGTERM as process 1", async () => {
    const [withoutShell, own] = await Promise.all([
      applied({ image: pauseImage, command: "echo begun" }),
      // Without a command, a run that serves a port has that of its image.
      applied({ image: pauseImage, ports: [{ port: 8080, kind: "http" }] }),
    ]);

    const end = await endOf(withoutShell);
    await fixture.until(own, (seen) => seen?.state === "probe");
    const wasEnded = await fixture.compute.terminate(own.uid, 1, 10);
    await fixture.until(own, (seen) => seen?.state === "ended");

    expect(end).toEqual({
      started: false,
      exitCode: null,
      reason: "The command could not be started: its image has no /bin/sh",
    });
    expect(wasEnded).toBe(true);
  });
});

/**
 * Starts processes until one is refused, says so in the log of the job, and fails. A helper takes each place that becomes
 * free in the next 15 s, also that of the program itself. All of them end with the helper, which holds their pipe.
 */
const usesUpProcesses = `
import os, time
reading, writing = os.pipe()
def start():
    if os.fork() == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
if os.fork() == 0:
    end = None
    while end is None or time.time() < end:
        try:
            start()
        except BlockingIOError:
            end = end or time.time() + 15
            time.sleep(0.001)
    os._exit(0)
try:
    while True:
        start()
except BlockingIOError:
    open("/proc/1/fd/1", "w").write("full\\n")
    raise
`;

/** Starts no other process, which would end it now, and leaves none of others as a zombie, which would count. */
const livesAlone =
  "import signal, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('begun', flush=True); time.sleep(1000)";

describe("a job on a real node with a limit of processes", () => {
  it("starts no more than that, goes on, and takes none from another job", async () => {
    const command = `exec python3 -c "${livesAlone}"`;
    // Its processes must not reach another limit first.
    const resources = { cpus: 1, memoryMb: 1024 };
    const [greedy, other] = [await applied({ command, resources }), await applied({ command })];
    await Promise.all([fixture.begun(greedy), fixture.begun(other)]);

    const executed = fixture.exec(greedy, ["python3", "-c", usesUpProcesses]);
    await fixture.logUntil(greedy, (text) => text.includes("full"));
    const started = await fixture.exec(other, ["sh", "-c", "sleep 0.1 & wait; echo started"]);
    const refused = await executed;

    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("BlockingIOError") });
    expect(started).toMatchObject({ exitCode: 0, stdout: "started\n" });
    expect(await fixture.compute.observe(greedy.uid, 1)).toMatchObject({ state: "ready" });
  });
});

describe("a job on a real node whose disk or memory is full", () => {
  it("is evicted for what it wrote itself, and no other job is", async () => {
    const other = await applied({ command: waits });
    await fixture.until(other, (seen) => seen?.state === "ready");
    const writes = "until [ -e /tmp/go ]; do sleep 0.1; done; head -c 60000000 /dev/zero >/tmp/large";
    const full = await applied({ command: `${writes}; ${waits}` });
    await fixture.until(full, (seen) => seen?.state === "ready");
    // Its machine may evict it before the first report of its start.
    await fixture.exec(full, ["touch", "/tmp/go"]);

    const end = await endOf(full);

    expect(end).toEqual({
      started,
      exitCode: null,
      reason: expect.stringMatching(/^evicted by its machine: Pod ephemeral local storage usage exceeds the total/),
    });
    expect(await fixture.compute.observe(other.uid, 1)).toMatchObject({ state: "ready" });
  });

  it("is evicted with the reason, and its node takes no job until it has memory again", async () => {
    const run = await applied({ command: waits });
    await fixture.begun(run);

    await fixture.getNode("one").setAvailableMemory(50);
    const end = await endOf(run);
    const closed = await nodeUntil(({ ready }) => !ready);
    await fixture.getNode("one").setAvailableMemory(undefined);
    await nodeUntil(({ ready }) => ready);

    expect(end).toMatchObject({
      exitCode: null,
      reason: expect.stringMatching(/^evicted by its machine: The node was low on resource: memory\. /),
    });
    expect(closed).toMatchObject({ unready: "tainted" });
  });

  it("is evicted with the reason, and its node takes no job until it has disk again", async () => {
    const run = await applied({ command: waits });
    await fixture.begun(run);
    const { machine } = fixture.getNode("one");

    await machine.run("sh", ["-c", fillDisk]);
    const end = await endOf(run);
    const closed = await nodeUntil(({ ready }) => !ready);
    await machine.run("rm", ["/var/lib/filler"]);
    await nodeUntil(({ ready }) => ready);

    expect(end).toMatchObject({
      exitCode: null,
      reason: expect.stringMatching(/^evicted by its machine: The node was low on resource: ephemeral-storage\. /),
    });
    expect(closed).toMatchObject({ unready: "tainted" });
  });
});

/** Leaves 50 MB. */
const fillDisk =
  'left=$(df --output=avail --block-size=1M /var/lib | tail -n 1); fallocate -l "$((left - 50))M" /var/lib/filler';

/** Returns the node once a listing shows it so. */
async function nodeUntil(holds: (node: ComputeNode) => boolean): Promise<ComputeNode> {
  for (;;) {
    const node = (await fixture.compute.listNodes()).find(holds);
    if (node) return node;
    await sleep(50);
  }
}
