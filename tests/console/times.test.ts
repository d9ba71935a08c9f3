import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

test("no time that passes is announced each second", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/");
  await page.clock.install();
  await page.route(`${url}/v1/jobs/estimate`, (route) => {
    const estimated_start_time = new Date(Date.now() + 25_000).toISOString();
    const json = { estimated_start_time, reason: "Need 8 H100", queue_position: 1, gpu_hours: 0, alternatives: [] };
    return route.fulfill({ json });
  });
  await page.goto(`${url}/new`);
  await page.getByText(/^In about \d+ s$/).waitFor();
  const ofForm = await countChanges(page);
  await page.goto(`${url}/disks`);
  await page.getByText("You have no disk").waitFor();
  await page.route(`${url}/v1/**`, (route) => route.abort());
  await page.clock.fastForward("00:16");
  await page.getByText(/^Seen \d+ (s|min) ago/).waitFor();
  const ofAge = await countChanges(page);

  expect([ofForm.announced, ofAge.announced]).toEqual([0, 0]);
  expect(ofForm.shown).toBeGreaterThan(3);
  expect(faults()).toEqual([]);
});

/** Counts the changed texts of some seconds, and those in live regions. */
async function countChanges(page: Page): Promise<{ readonly shown: number; readonly announced: number }> {
  await page.evaluate(`{
    globalThis.counts = { shown: 0, announced: 0 };
    new MutationObserver((mutations) => {
      for (const { target } of mutations) {
        const element = target instanceof Element ? target : target.parentElement;
        counts[element?.closest("[aria-live], [role=status]") ? "announced" : "shown"]++;
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  }`);
  await page.clock.runFor(6000);
  return page.evaluate("counts");
}
