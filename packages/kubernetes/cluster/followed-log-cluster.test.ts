import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { LogEnd, RunLog } from "#core/ports/run-log.ts";
import type { ApiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { type StreamedLogs, streamedLogs } from "../exec/streamed-logs.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { buildPaths } from "../paths.ts";

const LONGEST_MS = 400_000;
/** More than a busy machine takes. One that hangs at a restarting API server is opened again, as in a deployment. */
const OPENED_WITHIN_MS = 20_000;
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture(["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })));
});

afterAll(() => fixture.stop());

/** A process of Berth that follows logs, and the paths of the logs that it opened. */
function startProcess() {
  const opened: string[] = [];
  const open: ApiClient["open"] = (path, ...others) => {
    if (path.includes("/log?")) opened.push(path);
    return fixture.client.open(path, ...others);
  };
  const client = { ...fixture.client, open };
  const place = { client, paths: buildPaths(namespace), deployment: "fixture" };
  const logs = streamedLogs(place, { client, openedWithinMs: OPENED_WITHIN_MS });
  const count = () => {
    const streams = opened.filter((path) => path.includes("follow=true")).length;
    return { copies: opened.length - streams, streams };
  };
  return { logs, compute: kubernetesCompute({ ...fixture.options, client, streamedLogs: logs }), count };
}

/** Starts a run on two machines. The first prints a line for each file of the test, and ends at the file `end`. */
async function startPrinting(): Promise<{ run: Run; print(line: string): void; end(): void }> {
  const folder = join(fixture.files, randomBytes(4).toString("hex"));
  const command = `[ "$HOSTNAME" = machine-1 ] && echo other
    n=1; until [ -e ${folder}-end ]; do
      if [ -e ${folder}-$n ]; then cat ${folder}-$n; n=$((n+1)); else sleep 0.05; fi
    done`;
  const shares = ["one", "two"].map((node) => ({ node, units: 1 }));
  const run = fixtureRun({ command, shares });
  await fixture.compute.apply(run);
  await fixture.eventually(
    () => fixture.compute.observe(run.uid, 1),
    (seen) => seen?.state === "ready",
  );
  let lines = 0;
  const print = (line: string) => {
    lines += 1;
    writeFileSync(`${folder}-${lines}`, line);
  };
  return { run, print, end: () => writeFileSync(`${folder}-end`, "") };
}

/** Follows the log from a position on until the text is there. Returns all of it and its end. */
async function followTo(logs: StreamedLogs, { uid }: Run, last: string, after: number, known?: LogEnd) {
  let [position, text] = [after, ""];
  while (!text.endsWith(last)) {
    const part = await logs.read(uid, 1, position, known);
    if (part) {
      expect(part.start).toBe(position);
      text += Buffer.from(part.bytes).toString();
      position += part.bytes.length;
    }
    if (part && part.bytes.length === 0) await logs.waitFor(uid, 1, position, LONGEST_MS);
    if (!part) await sleep(50);
  }
  return { text, end: position };
}

const endOf = ({ start, bytes, mark }: RunLog): LogEnd => ({ position: start + bytes.length, mark });

describe("a followed log", { timeout: LONGEST_MS }, () => {
  it("costs one stream however many lines come, and its copies agree about positions to the end", async () => {
    const { logs, compute, count } = startProcess();
    const { run, print, end } = await startPrinting();
    let position = 0;
    for (const line of ["one\n", "50%\r100%\r\n", "é€💥\n", "one\n", "one\n"]) {
      print(line);
      const next = await followTo(logs, run, line, position);
      expect(next.text).toBe(line);
      position = next.end;
    }
    const followed = count();
    const copy = await compute.readLog(run.uid, 1);
    const waiting = logs.waitFor(run.uid, 1, position, LONGEST_MS);
    end();
    await waiting;
    await fixture.eventually(
      () => compute.observe(run.uid, 1),
      (seen) => seen?.state === "ended",
    );
    const last = await compute.readLog(run.uid, 1, endOf(copy));

    expect(followed).toEqual({ copies: 1, streams: 1 });
    expect([endOf(copy).position, endOf(last).position]).toEqual([position, position]);
    expect(Buffer.from(last.bytes).toString()).toBe("one\n50%\r100%\r\né€💥\none\none\n");
    await fixture.clear();
  });

  it("misses and doubles no line when the API server, and then this process, restarts", async () => {
    const { logs, compute } = startProcess();
    const { run, print } = await startPrinting();
    print("one\n");
    const first = await followTo(logs, run, "one\n", 0);
    const record = endOf(await compute.readLog(run.uid, 1));
    print("two\n");
    const second = await followTo(logs, run, "two\n", first.end, record);

    await fixture.cluster.controlPlane.restart("apiserver");
    print("three\n");
    const third = await followTo(logs, run, "three\n", second.end, record);
    print("four\n");
    const fourth = await followTo(startProcess().logs, run, "four\n", third.end, record);

    expect([second, third, fourth]).toEqual([
      { text: "two\n", end: 8 },
      { text: "three\n", end: 14 },
      { text: "four\n", end: 19 },
    ]);
    await fixture.clear();
  });

  it("is left to the copies while nobody reaches its node", async () => {
    const { logs } = startProcess();
    const { run, print } = await startPrinting();
    print("one\n");
    const [node] = fixture.pretendNodes;
    node?.lose();
    const lost = await logs.read(run.uid, 1, 0);
    await node?.recover();

    expect(lost).toBeUndefined();
    expect(await followTo(logs, run, "one\n", 0)).toEqual({ text: "one\n", end: 4 });
    await fixture.clear();
  });
});
