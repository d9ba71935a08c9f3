import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isOver, jobClient } from "./job-client.ts";
import { openStackFixture, type StackFixture } from "./stack-fixture.ts";

let fixture: StackFixture;
let place: string;

beforeEach(() => {
  fixture = openStackFixture("berth-local-path-");
  place = mkdtempSync(join(tmpdir(), "berth-programs-"));
  chmodSync(place, 0o755);
});

afterEach(async () => {
  await fixture.close();
  rmSync(place, { recursive: true });
});

/** Creates a directory with one program, which ends with this code. */
function programs(name: string, code: number): string {
  const directory = join(place, name);
  mkdirSync(directory);
  writeFileSync(join(directory, "berth-tool"), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
  return directory;
}

it.each([
  ["the PATH of the shell that starts the stack", false, 41],
  ["LOCAL_PATH, in place of that", true, 42],
])("a job finds a program by %s", async (_, isSet, code) => {
  const [inPath, inLocalPath] = [programs("path", 41), programs("local-path", 42)];
  const settings = { PATH: `${inPath}:${process.env.PATH}`, LOCAL_PATH: isSet ? inLocalPath : "" };
  const stack = await fixture.start(settings);
  const jobs = jobClient(stack.url, (await stack.env()).API_KEY ?? "");

  const id = await jobs.submit({ instance_type: "c7i.8xlarge", command: "berth-tool" });

  const { status, status_reason } = await jobs.until(id, isOver);
  expect([status, status_reason]).toEqual(["failed", `command exited with code ${code}`]);
});
