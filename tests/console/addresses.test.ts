import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

test("an address with invalid percent-encoding shows that nothing is there", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole();
  const page = await open("/");
  const found: string[] = [];
  for (const [path, text] of [
    ["/jobs/%ZZ", "There is no such thing here"],
    ["/jobs/%ZZ/logs", "There is no such thing here"],
    ["/jobs/%ZZ/terminal", "No environment has this address"],
    ["/disks/%ZZ", "There is no such screen"],
  ] as const) {
    await page.goto(url + path);
    await page.getByText(text).waitFor();
    found.push(...(await violations(page)).map((violation) => `${path} ${violation}`));
  }

  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});
