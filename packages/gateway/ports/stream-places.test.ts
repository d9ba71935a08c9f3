import { once } from "node:events";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { echo } from "../ssh/echo-fixture.ts";
import { fullNotes } from "./full-notes.ts";
import type { Reach } from "./reach.ts";
import { boundReach, streamPlaces } from "./stream-places.ts";

const relay = Promise.withResolvers<void>();
const reach: Reach = {
  start: echo,
  dial: async () => new PassThrough(),
  openTerminal: async () => new PassThrough(),
  openRelay: async () => ({
    address: Promise.resolve(""),
    ended: relay.promise,
    heldBytes: () => 0,
    close: relay.resolve,
  }),
};
const wanted = { program: "shell", env: {}, terminal: undefined } as const;
const terminal = { id: "0", isNew: true, columns: 80, lines: 24 };
const destination = { host: "127.0.0.1", port: 80 } as const;

function openPlaces(most: { readonly all: number; readonly run: number; readonly visitors: number }) {
  const log = recordingLog();
  let now = 0;
  const take = streamPlaces(
    fullNotes(log, () => now),
    most,
  );
  const advance = (ms: number) => {
    now += ms;
  };
  return { take, lines: log.lines, advance };
}

it("programs, forwards, web terminals, relays and pages of all runs share the places of a replica", async () => {
  const { take } = openPlaces({ all: 5, run: 10, visitors: 10 });
  const bound = boundReach(reach, take);
  const refusal = "The gateway has too many open connections: try again in a moment";

  const program = await bound.start("a", wanted);
  const forward = await bound.dial("b", destination);
  const webTerminal = await bound.openTerminal("c", terminal);
  const opened = await bound.openRelay("d", ["agent"], () => undefined);
  const leavePage = take("e");
  await expect(bound.start("f", wanted)).rejects.toThrow(refusal);
  const ends = [
    () => program.hangUp(),
    () => once(forward.destroy(), "close"),
    () => once(webTerminal.destroy(), "close"),
    () => opened.close(),
    leavePage,
  ];

  for (const end of ends) {
    await end();
    take("f");
    expect(() => take("f")).toThrow(refusal);
  }
});

it("a stream that could not be opened, or that has closed already, holds no place", async () => {
  const { take } = openPlaces({ all: 1, run: 1, visitors: 1 });
  const closed = new PassThrough().destroy();
  await once(closed, "close");
  const failing = { start: () => Promise.reject(new Error("away")), dial: async () => closed } as Partial<Reach>;
  const bound = boundReach({ ...reach, ...failing }, take);

  await expect(bound.start("a", wanted)).rejects.toThrow("away");
  await bound.dial("a", destination);

  expect(take("a")).toBeTypeOf("function");
});

it("a run, and visitors without a key, leave places to others", () => {
  const { take, lines } = openPlaces({ all: 10, run: 3, visitors: 4 });

  for (const run of ["a", "a", "a"]) take(run);
  expect(() => take("a")).toThrow("This environment has too many open connections");
  for (const run of ["b", "b", "b", "c"]) take(run, true);

  expect(() => take("d", true)).toThrow("The gateway has too many open connections");
  expect(take("d")).toBeTypeOf("function");
  expect(lines).toEqual([{ level: "warn", event: "gateway full", fields: { bound: "streams of visitors", most: 4 } }]);
});

it("a full replica is logged once a minute", () => {
  const { take, lines, advance } = openPlaces({ all: 0, run: 1, visitors: 1 });
  const tries = () => {
    for (let n = 0; n < 100; n += 1) expect(() => take("a")).toThrow();
    return lines.length;
  };

  const first = tries();
  advance(59_999);
  const sameMinute = tries();
  advance(1);

  expect([first, sameMinute, tries()]).toEqual([1, 1, 2]);
  expect(lines[0]?.fields).toEqual({ bound: "streams", most: 0 });
});
