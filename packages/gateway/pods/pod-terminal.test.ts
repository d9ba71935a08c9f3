import { once } from "node:events";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { ApiUnreachable } from "#kubernetes/client/api-error.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { NoTerminal } from "../ports/reach.ts";
import { terminalStream } from "./pod-terminal.ts";

/** The session of a holder, which a test plays. */
function openSession() {
  const ended = Promise.withResolvers<number>();
  const closed = Promise.withResolvers<"closed">();
  const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const session: PodSession = {
    input,
    output,
    errors,
    ended: ended.promise,
    resize: () => undefined,
    signal: async () => undefined,
    close: async () => closed.resolve("closed"),
  };
  return { session, input, output, errors, ended, closed: closed.promise };
}

test("frames follow the greeting in both directions, and the end of the stream closes the session", async () => {
  const { session, input, output, closed } = openSession();
  const opening = terminalStream(session);
  output.write("op");
  await new Promise(setImmediate);
  output.write("en\nframes");
  const stream = await opening;
  stream.write("typed");

  expect(String((await once(stream, "data"))[0])).toBe("frames");
  expect(String((await once(input, "data"))[0])).toBe("typed");
  stream.destroy();
  expect(await closed).toBe("closed");
});

test.each([
  ["there is no such terminal", 66, "gone"],
  ["there are as many as a run may have", 73, "tooMany"],
  ["the pod has no holder", 127, "unsupported"],
  ["the pod has no pseudo-terminals", 70, "unsupported"],
] as const)("if %s, it says so", async (_, exitCode, reason) => {
  const { session, ended, closed } = openSession();
  ended.resolve(exitCode);

  await expect(terminalStream(session)).rejects.toEqual(new NoTerminal(reason));
  expect(await closed).toBe("closed");
});

test.each([
  ["an unreachable cluster", new ApiUnreachable("exec", "cut off"), new ApiUnreachable("exec", "cut off")],
  ["an image without a shell", new Error("no shell"), new NoTerminal("unsupported")],
])("%s opens no terminal", async (_, cause, error) => {
  const { session, ended, closed } = openSession();
  ended.reject(cause);

  await expect(terminalStream(session)).rejects.toEqual(error);
  expect(await closed).toBe("closed");
});

test("a holder that says anything else, or nothing in time, opens no terminal", async () => {
  const [loud, silent] = [openSession(), openSession()];
  loud.output.write("h\0\0\0\x08".repeat(1_000));
  loud.errors.write("x".repeat(100_000));
  silent.output.write("op");

  await expect(terminalStream(loud.session)).rejects.toEqual(new NoTerminal("unsupported"));
  await expect(terminalStream(silent.session, 20)).rejects.toThrow("silent");
  expect(await Promise.all([loud.closed, silent.closed])).toEqual(["closed", "closed"]);
});
