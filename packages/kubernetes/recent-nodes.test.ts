import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { recentNodes } from "./recent-nodes.ts";

it("a node is given out for no more than two seconds after it was asked for, however late it answered", async () => {
  let time = 0;
  const asked: { readonly name: string; answer(): void }[] = [];
  const find = (path: string) =>
    new Promise((resolve) => {
      const name = path.split("/").at(-1) ?? "";
      const conditions = [{ type: "Ready", status: "True" }];
      asked.push({ name, answer: () => resolve({ metadata: { name, uid: name }, spec: {}, status: { conditions } }) });
    });
  const nodesOf = recentNodes({ find } as unknown as Parameters<typeof recentNodes>[0], () => time);
  const slow = nodesOf(["n1"]);
  time = 4_800;
  const quick = nodesOf(["n2"]);
  await setImmediate();
  asked[1]?.answer();
  await quick;
  time = 4_900;
  asked[0]?.answer();
  await slow;

  void nodesOf(["n1"]);
  void nodesOf(["n2"]);
  await setImmediate();

  expect(asked.map(({ name }) => name)).toEqual(["n1", "n2", "n1"]);
});
