import { describe, expect, it } from "vitest";
import { computeNode } from "./pretend-node.ts";

describe("a node of the local stack", () => {
  const node = { name: "p5-48xlarge-1", instanceType: "p5.48xlarge", zone: "local-a", ready: true };

  it("has the same uid at every start, and another one in another home", () => {
    const uids = ["/home/a", "/home/a", "/home/b"].map((home) => computeNode(home, node).uid);

    expect(uids[0]).toBe(uids[1]);
    expect(uids[0]).not.toBe(uids[2]);
  });

  it("offers the units of its type, without a provider id", () => {
    expect(computeNode("/home/a", node)).toMatchObject({ units: 8, foreignUnits: 0, providerId: null });
  });
});
