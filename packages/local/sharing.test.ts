import { expect, test } from "vitest";
import { requireMemoryLimit } from "./stack-environments.ts";

const shared = { LOCAL_USERS: ["ada"], SHARE_WITHOUT_MEMORY_LIMIT: "0" } as const;
const withMemory = { version: 2, places: { memory: "/sys/fs/cgroup/berth" } } as const;
const withoutMemory = { version: 1, places: { pids: "/sys/fs/cgroup/pids" } } as const;

test.each([null, withoutMemory])("a stack with LOCAL_USERS is refused if the control groups are %j", (groups) => {
  expect(() => requireMemoryLimit(shared, { groups })).toThrow(
    /cannot limit the memory .* SHARE_WITHOUT_MEMORY_LIMIT=1/,
  );
});

test("a stack with LOCAL_USERS starts if a control group limits memory", () => {
  expect(() => requireMemoryLimit(shared, { groups: withMemory })).not.toThrow();
});

test("a stack with LOCAL_USERS starts if the operator allows unlimited memory", () => {
  const config = { ...shared, SHARE_WITHOUT_MEMORY_LIMIT: "1" } as const;

  expect(() => requireMemoryLimit(config, { groups: null })).not.toThrow();
});

test("a stack of one user starts without a memory limit", () => {
  expect(() => requireMemoryLimit({ ...shared, LOCAL_USERS: [] }, { groups: null })).not.toThrow();
});
