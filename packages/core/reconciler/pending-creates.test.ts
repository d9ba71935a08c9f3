import { expect, test } from "vitest";
import { manualClock } from "#tests/fixtures/clock.ts";
import { seededIds } from "#tests/fixtures/ids.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { LISTED_MS, listMaking, settlesAt, volumeMaking } from "./pending-creates.ts";

const wanted = { zone: "zone-a", sizeGb: 10, from: null };

function listed() {
  const clock = manualClock();
  const ctx = { clock, ids: seededIds(1, clock), log: silentLog(), settings: testSettings() };
  const { entry } = volumeMaking(ctx, [], "disk-uid", wanted);
  const making = listMaking([], entry);
  return { ctx, clock, entry, making, later: () => volumeMaking(ctx, making, "disk-uid", wanted) };
}

test("uses the same token again for a possible volume, and lists it again once its calls are over", () => {
  const { clock, entry, later } = listed();

  clock.advance(119_000);
  const soon = later();
  clock.advance(60_000);
  const renewed = later();

  expect(soon).toEqual({ entry, isListed: true });
  expect(renewed).toEqual({ entry: { ...entry, at: clock.now() }, isListed: false });
});

test("lists a volume long enough before the search for it, also by the clock of a host 17 s ahead", () => {
  const { clock, entry, later } = listed();

  clock.advance(120_000 - 1);
  const lastCall = later();
  const [budget, timeOut, clocks] = [20_000, 5_000, 17_000];

  expect(lastCall).toEqual({ entry, isListed: true });
  expect(settlesAt(entry) - LISTED_MS).toBeGreaterThan(clock.now() + budget + timeOut + clocks);
});

test("creates nothing under a token that a host 17 s ahead may be searching for", () => {
  const { clock, entry, later } = listed();
  const [budget, timeOut, clocks] = [20_000, 5_000, 17_000];

  clock.advance(settlesAt(entry) - clock.now() - budget - timeOut - clocks);

  expect(later().entry.token).not.toBe(entry.token);
});

test("creates nothing under a token whose leftovers may be being removed", () => {
  const { clock, entry, later } = listed();

  clock.advance(settlesAt(entry) - clock.now() - 20_000);
  const before = later();
  clock.advance(60 * 60_000);
  const after = later();

  expect([before.isListed, after.isListed]).toEqual([false, false]);
  expect([before.entry.token, after.entry.token]).not.toContain(entry.token);
});
