import { expect, test } from "vitest";
import { RateError } from "../../sdk/errors.ts";
import { throughOutages } from "./outages.ts";
import { ConnectionLost } from "./remote.ts";

const minuteMs = 60_000;

/** Runs attempts a minute apart that end with a lost connection, connected before or not, until one succeeds. */
async function runAttempts(...attempts: readonly { readonly minute: number; readonly isConnected: boolean }[]) {
  const waiting = [...attempts];
  const lost: string[] = [];
  let minute = 0;
  const end = throughOutages(
    async (connected) => {
      const next = waiting.shift();
      if (!next) return "done";
      if (next.isConnected) connected();
      ({ minute } = next);
      throw new ConnectionLost(`at ${minute}`);
    },
    {
      signal: new AbortController().signal,
      onLost: ({ message }) => void lost.push(message),
      tooLong: () => new Error("too long"),
      now: () => minute * minuteMs,
    },
  );
  return { end: await end.catch((error: Error) => error.message), lost };
}

test("a second outage has its own ten minutes, however long the connection held before", async () => {
  const first = { minute: 1, isConnected: true };
  const second = { minute: 300, isConnected: true };
  const stillAway = { minute: 309, isConnected: false };

  expect(await runAttempts(first, second, stillAway)).toEqual({ end: "done", lost: ["at 1", "at 300"] });
});

test("an outage of more than ten minutes ends the attempts", async () => {
  const first = { minute: 1, isConnected: true };
  const stillAway = { minute: 12, isConnected: false };

  expect(await runAttempts(first, stillAway)).toEqual({ end: "too long", lost: ["at 1"] });
});

test("a request that is refused for its rate is repeated", async () => {
  const errors = [new RateError("Too many requests", { status: 429, code: "rate" })];

  const end = throughOutages(
    async () => {
      const error = errors.pop();
      if (error) throw error;
      return "done";
    },
    { signal: new AbortController().signal, onLost: () => undefined, tooLong: () => new Error("too long") },
  );

  expect(await end).toBe("done");
});
