import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProcess } from "../../process/supervisor/process-identity.ts";
import { runningStack } from "./local-stack.ts";

const ownProcessStatus = findProcess(process.pid);

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-home-"));
});
afterEach(() => rmSync(home, { recursive: true }));

const here = { url: "http://127.0.0.1:8080", stsUrl: "http://127.0.0.1:8081" };

function writeStack(changes: object): void {
  const record = { ...here, stopped: false, process: ownProcessStatus, ...changes };
  writeFileSync(join(home, "stack.json"), JSON.stringify(record));
}

test("a home that names a running stack on this machine is accepted", () => {
  writeStack({});

  expect(runningStack(home)).toEqual({ home, ...here });
});

test.each([
  [{ url: "http://192.0.2.1:8080" }],
  [{ url: "https://berth.example" }],
  [{ url: "http://127.0.0.1.berth.example" }],
  [{ url: "http://127.0.0.1@berth.example" }],
  [{ stsUrl: "https://sts.example" }],
  [{ url: "no address" }],
])("a home that names another server by %j is not a stack", (urls) => {
  writeStack(urls);

  expect(runningStack(home)).toBeUndefined();
});

test.each([{ startedAt: "1" }, { boot: "another" }, { pid: -1 }])(
  "a home whose pid now belongs to another process is not a stack: %j",
  (change) => {
    writeStack({ process: { ...ownProcessStatus, ...change } });

    expect(runningStack(home)).toBeUndefined();
  },
);

test("a home that another user owns is not a stack", ({ skip }) => {
  if (process.getuid?.() !== 0) skip("only root can give a file to another user");
  writeStack({});
  chownSync(join(home, "stack.json"), 12_345, 12_345);

  expect(runningStack(home)).toBeUndefined();
});
