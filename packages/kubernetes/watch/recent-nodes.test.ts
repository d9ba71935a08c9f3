import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { recentNodes } from "./recent-nodes.ts";

/** API server that answers each request when the test says so. */
function asking(now: () => number) {
  const input: { readonly name: string; answer(isReady?: boolean): void; fail(): void }[] = [];
  const find = (path: string) =>
    new Promise((resolve, reject) => {
      const name = path.split("/").at(-1) ?? "";
      const answer = (isReady = true) => {
        const conditions = [{ type: "Ready", status: isReady ? "True" : "Unknown" }];
        resolve({ metadata: { name, uid: name }, spec: {}, status: { conditions } });
      };
      input.push({ name, answer, fail: () => reject(new Error("cut off")) });
    });
  return { asked: input, nodesOf: recentNodes({ find } as unknown as Parameters<typeof recentNodes>[0], now) };
}

it("a node is cached for at most two seconds after it was requested, however late it answered", async () => {
  let time = 0;
  const { asked: input, nodesOf } = asking(() => time);
  const slow = nodesOf(["n1"]);
  time = 4_800;
  const quick = nodesOf(["n2"]);
  await setImmediate();
  input[1]?.answer();
  await quick;
  time = 4_900;
  input[0]?.answer();
  await slow;

  void nodesOf(["n1"]);
  void nodesOf(["n2"]);
  await setImmediate();

  expect(input.map(({ name }) => name)).toEqual(["n1", "n2", "n1"]);
});

it("a node that answers is read once for all callers within two seconds, whichever other nodes they read", async () => {
  let time = 0;
  const { asked: input, nodesOf } = asking(() => time);
  const first = nodesOf(["n1"]);
  time = 1_999;
  const second = nodesOf(["n1", "n2"]);
  time = 2_000;
  const third = nodesOf(["n1"]);
  for (const entry of input) entry.answer();

  const found = await Promise.all([first, second, third]);

  expect(found.map((nodes) => nodes.map(({ metadata }) => metadata.name).sort())).toEqual([
    ["n1"],
    ["n1", "n2"],
    ["n1"],
  ]);
  expect(input.map(({ name }) => name)).toEqual(["n1", "n2", "n1"]);
});

it.each<[string, (entry: { answer(isReady: boolean): void; fail(): void }) => void]>([
  ["does not answer", (entry) => entry.answer(false)],
  ["could not be asked for", (entry) => entry.fail()],
])("a node that %s for one caller is read again by each of the others", async (_, come) => {
  const { asked: input, nodesOf } = asking(() => 0);
  const first = nodesOf(["n1"]).catch(() => []);
  const others = [nodesOf(["n1"]), nodesOf(["n1"])];
  const before = input.length;
  for (const entry of input) come(entry);
  await first;
  await setImmediate();

  for (const entry of input.slice(before)) entry.answer();

  expect((await Promise.all(others)).map((nodes) => nodes.length)).toEqual([1, 1]);
  expect([before, input.length]).toEqual([1, 3]);
});

it("a shared read of a node ends at the caller's own deadline, and later callers still share it", async () => {
  const { asked: input, nodesOf } = asking(() => 0);
  const deadline = new AbortController();
  const hanging = nodesOf(["n1"]);
  const late = nodesOf(["n1"], deadline.signal);

  deadline.abort();

  await expect(late).rejects.toThrow("GET /api/v1/nodes/n1: timed out");
  const others = nodesOf(["n1"]);
  await setImmediate();
  expect(input.map(({ name }) => name)).toEqual(["n1"]);
  input[0]?.answer();
  expect((await Promise.all([hanging, others])).map((nodes) => nodes.length)).toEqual([1, 1]);
});
