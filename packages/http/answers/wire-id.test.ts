import { expect, test } from "vitest";
import { manualClock } from "#tests/fixtures/clock.ts";
import { seededIds } from "#tests/fixtures/ids.ts";
import { type IdForm, newWireId, shortRandom } from "./wire-id.ts";

const ids = seededIds();
const clock = manualClock(Date.UTC(2025, 7, 24, 19, 13, 31) + 999);

test.each<[IdForm, RegExp]>([
  ["uid", /^[0-9a-f]{32}$/],
  ["uuid4", /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/],
  ["hex8", /^[0-9a-f]{8}$/],
  ["inst", /^inst_[a-z0-9]{12}$/],
])("an id of the form %s looks like %s, and the next one differs", (form, pattern) => {
  const [first, second] = [newWireId(form, { ids, clock }), newWireId(form, { ids, clock })];

  expect(first).toMatch(pattern);
  expect(second).toMatch(pattern);
  expect(second).not.toBe(first);
});

test("seconds are whole and count from 1970", () => {
  expect(newWireId("seconds", { ids, clock })).toBe("1756062811");
});

test("a short id has a fixed length and differs if only the low bits differ", () => {
  const of = (uid: string) => shortRandom({ uid: () => uid });

  expect(of("0".repeat(32))).toBe("000000000000");
  expect(of(`${"0".repeat(30)}23`)).toBe("00000000000z");
  expect(of("f".repeat(32))).not.toBe(of(`${"f".repeat(31)}e`));
});
