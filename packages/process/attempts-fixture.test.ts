import { describe, expect, test } from "vitest";
import { type Attempt, gotBy, inside, outside, seenAtEnd, TOO_SLOW } from "./attempts-fixture.ts";

const attempt = inside("reach", "reach own");
const ended = "### end\n";

function got(output: string, { isRunning = false, of = attempt }: { isRunning?: boolean; of?: Attempt } = {}) {
  return gotBy({ output: `### reaches\n${output}`, isRunning }, { reaches: of }, {}, 50).get("reaches");
}

function printed(code: number, control = 0): string {
  return `what it said\n--- ${code}\n\n--- ${control}\n`;
}

describe("an attempt", () => {
  test("counts as kept out if it fails, and not if it succeeds", () => {
    expect([got(printed(1) + ended), got(printed(0) + ended)]).toMatchObject([
      { isHeld: true, unmade: undefined },
      { isHeld: false, unmade: undefined },
    ]);
  });

  test("counts for nothing if its control fails", () => {
    expect(got(printed(1, 2) + ended)).toMatchObject({ unmade: expect.stringContaining("its control failed") });
  });

  test("counts neither as kept out nor as let through if it times out", () => {
    const text = expect.stringContaining("said");

    expect(got(printed(TOO_SLOW) + ended)).toEqual({ text, isHeld: false, unmade: "too slow to judge" });
  });

  test.each([
    ["whose control was too slow", { output: printed(1, TOO_SLOW) + ended }],
    ["whose control is run outside and was cut", { output: printed(1) + ended, of: outside("true", "sleep 600") }],
    ["that still runs", { output: "what it said\n", isRunning: true }],
    ["whose control still runs", { output: "what it said\n--- 1\n", isRunning: true }],
  ])("reports %s as too slow to judge", (_, { output, ...seen }) => {
    expect(got(output, seen)).toMatchObject({ unmade: "too slow to judge" });
  });

  test("counts as let through, even if its control is slow", () => {
    expect(got(printed(0, TOO_SLOW) + ended)).toMatchObject({ isHeld: false });
  });

  test.each(["", "what it said\n--- 1\n"])("counts as not made if the shell ended first (%j)", (output) => {
    expect(got(output)).toMatchObject({ unmade: "the script ended too early" });
  });
});

describe("the output of a script", () => {
  const seenAs = (
    messages: readonly { readonly output: string; readonly isRunning?: boolean }[],
    silentMs?: number,
  ) => {
    const left = [...messages];
    const poll = async () => ({ isRunning: true, output: "", ...(left.length > 1 ? left.shift() : left[0]) });
    return seenAtEnd(poll, silentMs);
  };

  test("is complete after its end marker, even if its shell still runs", async () => {
    expect(await seenAs([{ output: "" }, { output: "a" }, { output: `a${ended}` }])).toMatchObject({
      output: `a${ended}`,
    });
  });

  test("is taken when its shell has ended", async () => {
    expect(await seenAs([{ output: "a" }, { output: "ab", isRunning: false }])).toMatchObject({ output: "ab" });
  });

  test("is taken after a time without new output", async () => {
    expect(await seenAs([{ output: "a" }], 60)).toEqual({ output: "a", isRunning: true });
  });
});
