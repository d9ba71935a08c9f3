import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { machineStates, recentNodes } from "./read-nodes.ts";

/** API server that answers each request when the test says so. */
function openReader(now: () => number) {
  const requests: { readonly name: string; answer(isReady?: boolean): void; fail(): void }[] = [];
  const find = (path: string) =>
    new Promise((resolve, reject) => {
      const name = path.split("/").at(-1) ?? "";
      const answer = (isReady = true) => {
        const conditions = [{ type: "Ready", status: isReady ? "True" : "Unknown" }];
        resolve({ metadata: { name, uid: name }, spec: {}, status: { conditions } });
      };
      requests.push({ name, answer, fail: () => reject(new Error("cut off")) });
    });
  return { requests, readNodes: recentNodes({ find } as unknown as Parameters<typeof recentNodes>[0], now) };
}

it("a node is cached for at most two seconds after it was requested, however late it answered", async () => {
  let time = 0;
  const { requests, readNodes } = openReader(() => time);
  const slow = readNodes(["n1"]);
  time = 4_800;
  const quick = readNodes(["n2"]);
  await setImmediate();
  requests[1]?.answer();
  await quick;
  time = 4_900;
  requests[0]?.answer();
  await slow;

  void readNodes(["n1"]);
  void readNodes(["n2"]);
  await setImmediate();

  expect(requests.map(({ name }) => name)).toEqual(["n1", "n2", "n1"]);
});

it("a node that answers is read once for all callers within two seconds, whichever other nodes they read", async () => {
  let time = 0;
  const { requests, readNodes } = openReader(() => time);
  const first = readNodes(["n1"]);
  time = 1_999;
  const second = readNodes(["n1", "n2"]);
  time = 2_000;
  const third = readNodes(["n1"]);
  for (const request of requests) request.answer();

  const found = await Promise.all([first, second, third]);

  expect(found.map((nodes) => nodes.map(({ metadata }) => metadata.name).sort())).toEqual([
    ["n1"],
    ["n1", "n2"],
    ["n1"],
  ]);
  expect(requests.map(({ name }) => name)).toEqual(["n1", "n2", "n1"]);
});

it.each<[string, (request: { answer(isReady: boolean): void; fail(): void }) => void]>([
  ["does not answer", (request) => request.answer(false)],
  ["could not be read", (request) => request.fail()],
])("a node that %s for one caller is read again by each of the others", async (_, come) => {
  const { requests, readNodes } = openReader(() => 0);
  const first = readNodes(["n1"]).catch(() => []);
  const others = [readNodes(["n1"]), readNodes(["n1"])];
  const before = requests.length;
  for (const request of requests) come(request);
  await first;
  await setImmediate();

  for (const request of requests.slice(before)) request.answer();

  expect((await Promise.all(others)).map((nodes) => nodes.length)).toEqual([1, 1]);
  expect([before, requests.length]).toEqual([1, 3]);
});

it("a shared read of a node ends at the caller's own deadline, and later callers still share it", async () => {
  const { requests, readNodes } = openReader(() => 0);
  const deadline = new AbortController();
  const hanging = readNodes(["n1"]);
  const late = readNodes(["n1"], deadline.signal);

  deadline.abort();

  await expect(late).rejects.toThrow("GET /api/v1/nodes/n1: timed out");
  const others = readNodes(["n1"]);
  await setImmediate();
  expect(requests.map(({ name }) => name)).toEqual(["n1"]);
  requests[0]?.answer();
  expect((await Promise.all([hanging, others])).map((nodes) => nodes.length)).toEqual([1, 1]);
});

const node = { name: "n", uid: "u", providerId: null };

it("a machine has the provider's state, and is unknown if the provider throws", async () => {
  const gone = machineStates(async () => "gone");
  const rejects = machineStates(() => Promise.reject(new Error("timeout")));
  const throws = machineStates(() => {
    throw new Error("no id");
  });

  expect([await gone(node), await rejects(node), await throws(node)]).toEqual(["gone", "unknown", "unknown"]);
});
