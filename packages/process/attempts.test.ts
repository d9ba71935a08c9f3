import { expect, test } from "vitest";
import { gotBy, inside, TOO_SLOW } from "./attempts.ts";

/** What came of an attempt that ended like this, beside a control that succeeded. */
function got(code: number) {
  const output = `### reaches a port\nwhat it said\n--- ${code}\n\n--- 0\n### end\n`;
  return gotBy(output, { "reaches a port": inside("reach", "reach own") }, {}).get("reaches a port");
}

test("an attempt that was too slow counts neither as kept out nor as let through", () => {
  expect(got(TOO_SLOW)).toEqual({ text: expect.stringContaining("said"), isHeld: false, unmade: "too slow to judge" });
});

test("one that failed was kept out, and one that succeeded was not", () => {
  expect([got(1), got(0)]).toMatchObject([
    { isHeld: true, unmade: undefined },
    { isHeld: false, unmade: undefined },
  ]);
});
