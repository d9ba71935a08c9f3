import { expect, test } from "vitest";
import { machineStates } from "./machine-state.ts";

const node = { name: "n", uid: "u", providerId: null };

test("a machine has the provider's state, and is unknown if the provider throws", async () => {
  const gone = machineStates(async () => "gone");
  const rejects = machineStates(() => Promise.reject(new Error("timeout")));
  const throws = machineStates(() => {
    throw new Error("no id");
  });

  expect([await gone(node), await rejects(node), await throws(node)]).toEqual(["gone", "unknown", "unknown"]);
});
