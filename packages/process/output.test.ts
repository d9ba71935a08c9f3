import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type Fixture, openFixture } from "./fixture.ts";
import { openOutput, readOutput } from "./output.ts";

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

    // For an instant, as one becomes the other, there is no `log`.
    const sizes = () => ["log", "log.1"].map((name) => statSync(join(fixture.directory, name), maybe)?.size);
    const both = await eventually(sizes, (found) => !found.includes(undefined));
    const others = readdirSync(fixture.directory).filter((name) => name.startsWith("log") && !/^log(\.1)?$/.test(name));

    expect(others).toEqual([]);
    expect(both.reduce<number>((sum, size = 0) => sum + size, 0)).toBeLessThan(2.3 * 1024 * 1024);
    const text = await fixture.compute.readLog(fixture.uid, 1);
    expect(text).toHaveLength(1024 * 1024);
    expect(text).toContain("\n0123456789abcdef\n");
  });

  it("is one text of both streams, in which what is no UTF-8 is replaced", async () => {
    await fixture.compute.apply(fixture.runOf({ command: String.raw`echo out; echo err >&2; printf 'a\377b\n'` }));
    await fixture.ended();

    expect(await fixture.compute.readLog(fixture.uid, 1)).toBe("out\nerr\na\uFFFDb\n");
  });

  it("can be opened again by its name, as programs do that log to /dev/stdout", async () => {
    await fixture.compute.apply(
      fixture.runOf({ command: "echo first; echo again > /dev/stdout; echo more > /dev/stderr" }),
    );
    await fixture.ended();

    expect(await fixture.compute.readLog(fixture.uid, 1)).toBe("first\nagain\nmore\n");
  });

  it("starts with a whole character where it was cut", async () => {
    await fixture.compute.apply(fixture.runOf({ command: `head -c 700000 /dev/zero | sed 's/\\x00/🙂/g'` }));
    await fixture.ended();

    const text = await fixture.compute.readLog(fixture.uid, 1);

    expect(text.replaceAll("🙂", "")).toBe("");
    expect(Buffer.byteLength(text)).toBeGreaterThan(1024 * 1024 - 4);
  });

  it("is kept to its end by a supervisor that is late, though somebody else still has it open", async () => {
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

    expect(readOutput(directory)).toBe("the end\n");
  });

  it("can be read while it grows", async () => {
    const go = join(fixture.shown, "go");
    const command = `echo one; until [ -e ${go} ]; do sleep 0.05; done; echo two; sleep 3600`;
    const log = () => fixture.compute.readLog(fixture.uid, 1);
    await fixture.compute.apply(fixture.runOf({ command }));

    const early = await eventually(log, (text) => text !== "");
    writeFileSync(go, "");
    const late = await eventually(log, (text) => text !== early);

    expect([early, late]).toEqual(["one\n", "one\ntwo\n"]);
  });
});
