import { expect, test } from "vitest";
import type { Environment } from "../../environments/record/record.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import type { Grant, MakeableLedger } from "./record.ts";
import { beginShortage, noteShortage, zoneForVolume } from "./shortage.ts";

const uid = "a".repeat(32);

/** Returns the shortage after a try that failed at this time, ms. */
function shortageAfter(before: MakeableLedger["shortage"], at: number): MakeableLedger["shortage"] {
  const withdrawn = { run: 1, nodes: [], at, lacksMachine: true };
  const environment = { uid, placement: { withdrawn } } as unknown as Environment;
  const makeable = { shortage: before } as MakeableLedger;
  return noteShortage(makeable, [{ uid, run: 1, key: "one" } as Grant], new Map([["one", environment]])).shortage;
}

test("a try that fails during a pause waited with the one before, and one that fails as the pause ends is new", () => {
  const first = beginShortage(0);

  const during = shortageAfter(first, first.until - 1);
  const after = shortageAfter(first, first.until);

  expect(during).toBe(first);
  expect(after).toMatchObject({ count: 2, until: first.until + 6 * MINUTE_MS });
});

test("a new disk avoids a zone that lacked machines for 12 hours after its next try, and not for ever", () => {
  const zoneShortages = { a: { count: 1, failedAt: 0, until: 3 * MINUTE_MS } };
  const zonesAt = (now: number) => [0, 1].map((n) => zoneForVolume({ zoneShortages }, ["a", "b"], n, now));

  expect(zonesAt(11 * HOUR_MS)).toEqual(["b", "b"]);
  expect(zonesAt(13 * HOUR_MS)).toEqual(["a", "b"]);
});
