import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { eventually, type Fixture, openFixture } from "../fixture.ts";
import { keepNewest, openOutput, outputEnd, readOutput } from "./output.ts";

const maybe = { throwIfNoEntry: false } as const;

describe("the output of a run", () => {
  let fixture: Fixture;

  beforeEach(() => {
    fixture = openFixture();
  });
  afterEach(async () => {
    await fixture.close();
  });

  it("takes no more than two MiB of disk, however much is printed", async () => {
    await fixture.compute.apply(fixture.runOf({ command: "yes 0123456789abcdef" }));
    await sleep(700);

    const files = () => readdirSync(fixture.directory).filter((name) => name.startsWith("log"));
    const sizes = () => files().map((name) => statSync(join(fixture.directory, name), maybe)?.size ?? 0);
    // There are three files for an instant, when the third begins.
    const both = await eventually(sizes, (found) => found.length === 2);

    expect(both.reduce((sum, size) => sum + size, 0)).toBeLessThan(2.3 * 1024 * 1024);
    const text = await logText(fixture.compute.readLog(fixture.uid, 1));
    expect(text).toHaveLength(1024 * 1024);
    expect(text).toContain("\n0123456789abcdef\n");
  });

  it("combines both streams, with invalid UTF-8 replaced", async () => {
    await fixture.compute.apply(fixture.runOf({ command: String.raw`echo out; echo err >&2; printf 'a\377b\n'` }));
    await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toBe("out\nerr\na\uFFFDb\n");
  });

  it("can be opened again as /dev/stdout", async () => {
    await fixture.compute.apply(
      fixture.runOf({ command: "echo first; echo again > /dev/stdout; echo more > /dev/stderr" }),
    );
    await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toBe("first\nagain\nmore\n");
  });

  it("starts with a whole character after a cut", async () => {
    await fixture.compute.apply(fixture.runOf({ command: `head -c 700000 /dev/zero | sed 's/\\x00/🙂/g'` }));
    await fixture.ended();

    const text = await logText(fixture.compute.readLog(fixture.uid, 1));

    expect(text.replaceAll("🙂", "")).toBe("");
    expect(Buffer.byteLength(text)).toBeGreaterThan(1024 * 1024 - 4);
  });

  it("is complete even if the supervisor is late and another process has it open", async () => {
    const fifo = join(fixture.root, "fifo");
    execFileSync("mkfifo", [fifo]);
    const directory = join(fixture.root, "run");
    mkdirSync(directory);
    const output = openOutput(directory, fifo, "none");
    writeSync(output.descriptor, "the end\n");

    const drained = output.drain(10);
    spawnSync("sleep", ["0.1"]);
    await drained;
    output.closeDescriptor();

    expect(readOutput(directory)).toEqual({ start: 0, bytes: Buffer.from("the end\n") });
  });

  it("keeps each byte at its position when its oldest part is dropped", () => {
    const directory = join(fixture.root, "run");
    mkdirSync(directory);
    const line = (n: number) => `${n} again and again\n`;
    const lines = Array.from({ length: 300_000 }, (_, n) => line(n % 7));
    const printed = Buffer.from(lines.join(""));
    let position = 0;
    for (let from = 0; from < printed.length; from += 300_001) {
      const log = keepNewest(directory);
      log.add(printed.subarray(from, from + 300_001));
      log.close();
      const { start, bytes } = readOutput(directory, position);
      expect(start).toBe(position);
      expect(Buffer.compare(bytes, printed.subarray(start, start + bytes.length))).toBe(0);
      position = start + bytes.length;
    }

    const newest = readOutput(directory);
    expect([position, outputEnd(directory), newest.start]).toEqual([
      printed.length,
      printed.length,
      printed.length - 1024 * 1024,
    ]);
    expect(Buffer.compare(newest.bytes, printed.subarray(newest.start))).toBe(0);
    expect(readOutput(directory, 7).start).toBe(newest.start);
    expect(readOutput(directory, printed.length + 99)).toEqual({ start: printed.length, bytes: Buffer.alloc(0) });
  });

  it("includes the files of an earlier release", () => {
    writeFileSync(join(fixture.root, "log.1"), "older\n");
    writeFileSync(join(fixture.root, "log"), "newer\n");

    expect(readOutput(fixture.root)).toEqual({ start: 0, bytes: Buffer.from("older\nnewer\n") });
  });

  it("can be read while it grows", async () => {
    const go = join(fixture.shown, "go");
    const command = `echo one; until [ -e ${go} ]; do sleep 0.05; done; echo two; sleep 3600`;
    const log = () => logText(fixture.compute.readLog(fixture.uid, 1));
    await fixture.compute.apply(fixture.runOf({ command }));

    const early = await eventually(log, (text) => text !== "");
    writeFileSync(go, "");
    const late = await eventually(log, (text) => text !== early);

    expect([early, late]).toEqual(["one\n", "one\ntwo\n"]);
  });
});
