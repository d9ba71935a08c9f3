import { expect, test } from "vitest";
import { manualClock } from "#tests/fixtures/clock.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { countRequest, requestTally } from "./request-tally.ts";

function place() {
  return { settings: testSettings(), clock: manualClock() };
}

test("each user's requests are counted separately, by the class of their status", () => {
  const here = place();
  for (const status of [200, 201, 404, 503]) countRequest(here, "alice", status);

  expect(requestTally(here, "alice")).toEqual({ count: 4, byStatus: { "2xx": 2, "4xx": 1, "5xx": 1 }, rate: 4 / 300 });
  expect(requestTally(here, "bob")).toEqual({ count: 0, byStatus: {}, rate: 0 });
  expect(requestTally(place(), "alice").count).toBe(0);
});

test("the rate covers five minutes, and the count covers all requests", () => {
  const here = place();
  countRequest(here, "alice", 200);
  here.clock.advance(200_000);
  countRequest(here, "alice", 200);
  here.clock.advance(150_000);

  expect(requestTally(here, "alice")).toMatchObject({ count: 2, rate: 1 / 300 });
});

test("the rate forgets old requests although Lambda stops the monotonic clock between two requests", () => {
  const here = place();
  for (let n = 0; n < 60; n++) {
    countRequest(here, "alice", 200);
    here.clock.step(60_000);
  }

  expect(requestTally(here, "alice")).toMatchObject({ count: 60, rate: 4 / 300 });
});

test("the rate ignores requests in the future after the clock was set back", () => {
  const here = place();
  countRequest(here, "alice", 200);
  here.clock.step(-3_600_000);

  expect(requestTally(here, "alice")).toMatchObject({ count: 1, rate: 0 });
  countRequest(here, "alice", 200);
  expect(requestTally(here, "alice")).toMatchObject({ count: 2, rate: 1 / 300 });
});

test("the user without requests for the longest time is forgotten beyond a maximum of users", () => {
  const here = place();
  countRequest(here, "first", 200);
  countRequest(here, "second", 200);
  countRequest(here, "first", 200);
  for (let n = 0; n < 999; n++) countRequest(here, `user-${n}`, 200);

  expect([requestTally(here, "first").count, requestTally(here, "second").count]).toEqual([2, 0]);
});
