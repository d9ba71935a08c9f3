import { describe, expect, it } from "vitest";
import { systemIds } from "./ids.ts";

describe("the system's ids", () => {
  it("have the documented forms", () => {
    const ids = systemIds();

    expect(ids.uid()).toMatch(/^[0-9a-f]{32}$/);
    expect(ids.secret(64)).toMatch(/^[A-Za-z0-9_-]{86}$/);
    expect(ids.uuid7()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids.hash("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });

  it("differ each time", () => {
    const ids = systemIds();

    const made = Array.from({ length: 2_000 }, () => [ids.uid(), ids.secret(16), ids.uuid7()]).flat();

    expect(new Set(made).size).toBe(6_000);
  });

  it("have random first 8 characters, which gpu-dev shows for the whole id", () => {
    // Ids that begin with the time would share their beginning.
    const ids = systemIds(() => 1_000);

    const beginnings = Array.from({ length: 200 }, () => ids.uuid4().slice(0, 8));

    expect(ids.uuid4()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(beginnings).size).toBeGreaterThan(190);
  });

  it("sort by time as UUIDs, in order of creation and when the clock steps back", () => {
    const times = [1_000, 1_000, 1_001, 990];
    let at = 0;
    const ids = systemIds(() => times[Math.floor(at++ / 5_000)] ?? 2_000);

    const made = Array.from({ length: 22_000 }, () => ids.uuid7());

    expect(made).toEqual(made.toSorted());
    expect(made.at(-1)?.slice(0, 13)).toBe("00000000-07d0");
  });
});
