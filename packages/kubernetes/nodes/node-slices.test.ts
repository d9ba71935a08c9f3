import { expect, it } from "vitest";
import { nodeSlices } from "./node-slices.ts";

const names = Array.from({ length: 100 }, (_, at) => `node-${String(at).padStart(3, "0")}`);

/** Makes calls with time for this many nodes. Returns the nodes that each read. */
function getCalls(mostNodes: number) {
  const slices = nodeSlices();
  return async (all: readonly string[] = names) => {
    const enough = new AbortController();
    let begun = 0;
    const readNode = async (name: string) => {
      begun += 1;
      if (begun === mostNodes) enough.abort();
      return name.toUpperCase();
    };
    return [...(await slices.read(all, readNode, enough.signal)).keys()];
  };
}

it("reads every node in a call that has the time", async () => {
  const call = getCalls(1_000);

  expect((await call()).sort()).toEqual(names);
  expect((await call()).sort()).toEqual(names);
});

it("continues in the next call until every node was read once", async () => {
  const call = getCalls(30);

  const result = [await call(), await call(), await call()].flat();
  const last = await call();

  expect(new Set(result).size).toBe(90);
  expect(new Set([...result, ...last])).toEqual(new Set(names));
});

it("reads every other node although nodes come and go between calls", async () => {
  const call = getCalls(30);
  const result = new Set(await call());
  const next = names[(names.indexOf([...result].at(-1) ?? "") + 1) % names.length];
  const changed = ["a-new-node", ...names.filter((name) => name !== next), "z-new-node"];

  for (let calls = 0; calls < 4; calls += 1) for (const name of await call(changed)) result.add(name);

  expect(changed.filter((name) => !result.has(name))).toEqual([]);
});

it("begins at a different node in each new process", async () => {
  const firsts = await Promise.all(Array.from({ length: 50 }, () => getCalls(1)()));

  expect(new Set(firsts.flat()).size).toBeGreaterThan(1);
});

it("omits a node that cannot be read, and reads it again in the next round", async () => {
  const slices = nodeSlices();
  const { signal } = new AbortController();
  const fails = async (name: string) => (name === "node-007" ? Promise.reject(new Error("timed out")) : name);

  const found = await slices.read(names, fails, signal);
  const again = await slices.read(names, async (name) => name, signal);

  expect([found.size, found.has("node-007"), again.size]).toEqual([99, false, 100]);
});

it("throws if no node can be read, and reads nothing without nodes", async () => {
  const slices = nodeSlices();
  const { signal } = new AbortController();

  await expect(slices.read(names, () => Promise.reject(new Error("forbidden")), signal)).rejects.toThrow("forbidden");
  expect(await slices.read([], async (name) => name, signal)).toEqual(new Map());
});
