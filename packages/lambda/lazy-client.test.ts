import { expect, test } from "vitest";
import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { laterClient } from "./eks-cluster.ts";

const client = { get: async (path: string) => `read ${path}` } as unknown as ApiClient;

test("the first call creates a client, once for all concurrent calls", async () => {
  let makings = 0;
  const later = laterClient(async () => {
    makings += 1;
    return client;
  });
  expect(makings).toBe(0);

  const answers = await Promise.all([later.get("/a"), later.get("/b")]);

  expect([answers, makings]).toEqual([["read /a", "read /b"], 1]);
});

test("the next call creates a client after a failure", async () => {
  const errors = [new Error("EKS did not answer")];
  const later = laterClient(async () => {
    const error = errors.pop();
    if (error) throw error;
    return client;
  });

  await expect(later.get("/a")).rejects.toThrow("EKS did not answer");
  expect(await later.get("/a")).toBe("read /a");
});

test("a changing call that waited past its deadline is not made", async () => {
  const calls: string[] = [];
  const late = Promise.withResolvers<ApiClient>();
  const limit = new AbortController();
  const noting = (name: string) => async (path: string) => void calls.push(`${name} ${path}`);
  const made = { create: noting("create"), patch: noting("patch"), remove: noting("remove"), get: noting("get") };
  const later = laterClient(
    () => late.promise,
    () => limit.signal,
  );

  const waiting = [later.create("/a", {}), later.patch("/b", {}), later.remove("/c", { uid: undefined })];
  limit.abort();
  const answers = await Promise.allSettled(waiting);
  late.resolve(made as unknown as ApiClient);
  await late.promise;

  expect(answers.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(calls).toEqual([]);
});
