import { expect, it } from "vitest";
import { GROWN_WINDOW_BYTES, growthPlaces, ReceiveWindow, WINDOW_BYTES } from "./receive-window.ts";

const half = WINDOW_BYTES / 2;

/** Reads half a window at a time. Returns how many bytes were allowed beyond those that were read. */
function readMuch(window: ReceiveWindow): number {
  let allowed = 0;
  for (let times = 0; times < 40; times += 1) allowed += window.acknowledge(half) - half;
  return allowed;
}

it("a window acknowledges half of its bytes at a time", () => {
  const window = new ReceiveWindow();

  expect([half - 1, 1, half].map((bytes) => window.acknowledge(bytes))).toEqual([0, half, half]);
});

it("a window grows once its client has read 4 MiB within two seconds, while a place is free", () => {
  const takeGrowth = growthPlaces(1);
  const [first, second, third] = [takeGrowth, takeGrowth, takeGrowth].map((take) => new ReceiveWindow(take));
  const [early, grown, refused] = [first?.acknowledge(half), first && readMuch(first), second && readMuch(second)];
  first?.close();
  first?.close();
  const later = [second, third].map((window) => window && readMuch(window));

  expect(early).toBe(half);
  // Bytes that were read after the last acknowledgement of a larger window are not acknowledged yet.
  expect(grown).toBeGreaterThan(GROWN_WINDOW_BYTES - WINDOW_BYTES - GROWN_WINDOW_BYTES / 2);
  expect(first?.limitBytes).toBe(GROWN_WINDOW_BYTES);
  expect(refused).toBe(0);
  expect(later[0]).toBeGreaterThan(0);
  expect(later[1]).toBe(0);
});

it("a place of a tunnel also takes one of the replica, and gives both back", () => {
  const ofReplica = growthPlaces(2);
  const [firstTunnel, secondTunnel] = [growthPlaces(1, ofReplica), growthPlaces(2, ofReplica)];
  const [first, second] = [firstTunnel(), secondTunnel()];
  const refused = [firstTunnel(), secondTunnel()];
  first?.();

  expect([typeof first, typeof second, ...refused]).toEqual(["function", "function", undefined, undefined]);
  expect([typeof secondTunnel(), secondTunnel()]).toEqual(["function", undefined]);
});

it("a window does not grow if its client reads as much in a longer time", () => {
  let now = 0;
  const window = new ReceiveWindow(growthPlaces(1), () => now);
  for (let times = 0; times < 100; times += 1) {
    window.acknowledge(half);
    now += 100;
  }

  expect(window.limitBytes).toBe(WINDOW_BYTES);
});

it("a stream without places for growth keeps its window", () => {
  const window = new ReceiveWindow();

  expect([readMuch(window), window.limitBytes]).toEqual([0, WINDOW_BYTES]);
});
