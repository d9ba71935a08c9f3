import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { followLog } from "./follow-log.ts";

const instanceType = "p5.48xlarge";
/** The first node does not look at its logs. A kubelet that does has a new file made in place of one that is lost. */
const unwatched = { containerLogMonitorInterval: "1h" };
/** The second node rotates logs as early and as often as a kubelet can. */
const rotation = { containerLogMaxSize: "100Ki", containerLogMaxFiles: 5, containerLogMonitorInterval: "3s" };
let fixture: DriverFixture;

beforeAll(async () => {
  fixture = await openDriverFixture({
    nodes: [
      { name: "one", instanceType, kubelet: unwatched },
      { name: "two", instanceType, kubelet: rotation },
    ],
  });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

afterEach(() => fixture.clear());

/** Prints numbered lines until SIGTERM, 50 kB a second at most. */
const endlessLines = `n=0; trap 'exit 0' TERM
  while :; do for _ in $(seq 100); do n=$((n+1)); printf 'line %09d %80s\\n' $n; done; sleep 0.2; done`;

/** Follows numbered lines until something has happened after the first of them, and for 1,000 more. */
async function followPast(run: Run, hasHappened: () => Promise<boolean>): Promise<number[]> {
  let linesThen: number | undefined;
  const followed = await followLog(
    fixture,
    run,
  )(async (text) => {
    const lines = text.split("\n").length;
    if (linesThen === undefined && lines > 100 && (await hasHappened())) linesThen = lines;
    return linesThen !== undefined && lines > linesThen + 1_000;
  });
  const lines = followed.toString().split("\n").slice(0, -1);
  return lines.map((line) => Number(line.slice(5, 14)));
}

/** Searches the log files of a run. */
async function findLogs(node: string, { uid }: Run, ...words: readonly string[]): Promise<string[]> {
  const { machine } = fixture.getNode(node);
  const found = await machine.run("find", ["/var/log/pods", "-path", `*${uid}*/main*`, ...words]);
  return found.split("\n").filter((line) => line !== "");
}

/** Returns the position of the first byte that differs; -1 if none does. */
function firstDifference(one: Uint8Array, other: Uint8Array): number {
  const at = other.findIndex((byte, at) => byte !== one[at]);
  return at < 0 && one.length > other.length ? other.length : at;
}

describe("the log of a job on a real node", () => {
  it("has a line of 1 MB and every byte that is no text, copied and followed", async () => {
    const script = `import sys
out = sys.stdout.buffer
out.write(b"x" + "é".encode() * 499_000 + b"\\n")
out.write("10 %\\r20 %\\r🚀 日本語 \\r\\n".encode() + bytes(range(256)) + b"\\n\\n\\n")
out.write("no newline at the end: é".encode())`;
    const run = await fixture.applied({ command: `python3 -c '${script}'` });
    // containerd drops a carriage return at the end of a line (internal/cri/io, readLine).
    const expected = Buffer.concat([
      Buffer.from(`x${"é".repeat(499_000)}\n10 %\r20 %\r🚀 日本語 \n`),
      Buffer.from(Array.from({ length: 256 }, (_, at) => at)),
      Buffer.from("\n\n\nno newline at the end: é"),
    ]);

    const followed = await followLog(fixture, run)((text) => text.endsWith("end: é"));
    await fixture.until(run, (seen) => seen?.state === "ended");
    const copied = await fixture.compute.readLog(run.uid, 1);

    expect([followed.length, firstDifference(followed, expected)]).toEqual([expected.length, -1]);
    expect([copied.start, firstDifference(copied.bytes, expected)]).toEqual([0, -1]);
  });

  it("has no gap and no repeated line for a reader that follows it while its kubelet rotates it", async () => {
    const run = await fixture.applied({ command: endlessLines, shares: [{ node: "two", units: 1 }] });
    const isRotatedTwice = async () => (await findLogs("two", run, "-name", "0.log.*")).length >= 2;

    const numbers = await followPast(run, isRotatedTwice);

    // A busy node rotates before the reader begins.
    const [first = 0] = numbers;
    expect(numbers).toEqual(numbers.map((_, at) => first + at));
  });

  it.each([
    ["its file is gone while the command still runs", ["-name", "0.log", "-delete"]],
    ["its folder is gone", ["-depth", "-delete"]],
    ["its file is a broken link", ["-name", "0.log", "-exec", "ln", "-sf", "/run/nowhere", "{}", ";"]],
  ])("is an error, and not the node's message as its text, if %s", async (_, words) => {
    const run = await fixture.applied({ command: "echo out; trap 'exit 0' TERM; while :; do sleep 0.1; done" });
    await fixture.logUntil(run, (text) => text === "out\n");

    await findLogs("one", run, ...words);

    await expect(fixture.compute.readLog(run.uid, 1)).rejects.toThrow("The node does not find the container's log");
  });

  it("is empty, which is no error, if its file was emptied", async () => {
    const run = await fixture.applied({ command: "echo out" });
    await fixture.until(run, (seen) => seen?.state === "ended");
    await fixture.logUntil(run, (text) => text === "out\n");

    await findLogs("one", run, "-name", "0.log", "-exec", "truncate", "-s", "0", "{}", ";");

    expect(await fixture.logUntil(run, () => true)).toBe("");
  });
});
