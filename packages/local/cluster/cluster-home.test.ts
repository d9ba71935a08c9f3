import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { deploymentOn, requireMachine } from "./cluster-home.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-cluster-home-"));
});

afterEach(() => rmSync(home, { recursive: true }));

const cluster = { id: "one", server: "https://10.0.0.1" };

test("a home keeps its deployment name on a cluster, at any address of the cluster", () => {
  const first = deploymentOn(home, cluster, false);

  expect(first).toMatch(/^local-[0-9a-f]{12}$/);
  expect(deploymentOn(home, { ...cluster, server: "https://10.0.0.2" }, true)).toBe(first);
});

test("a home is refused on another cluster, even at the address of the first", () => {
  deploymentOn(home, cluster, false);

  expect(() => deploymentOn(home, { ...cluster, id: "two" }, true)).toThrow(
    /are on another cluster, or in a namespace that was recreated since \(https:\/\/10\.0\.0\.1\).*Set BERTH_HOME to another directory/s,
  );
});

test("a home of this machine is refused on a cluster, and a cluster's on this machine", () => {
  expect(() => deploymentOn(home, cluster, true)).toThrow("are on this machine");
  expect(() => requireMachine(home)).not.toThrow();

  deploymentOn(home, cluster, false);

  expect(() => requireMachine(home)).toThrow(/are on https:\/\/10\.0\.0\.1\..*set COMPUTE=kubernetes/s);
});
