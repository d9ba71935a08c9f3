import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("a page that follows 200,000 lines stays usable, with few elements and the newest lines", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    ...job,
    name: "talks",
    command: "echo begins; sleep 8; seq -f 'line %.0f of many' 200000; echo all said; sleep 600",
  });
  const page = await open("/");
  await page.getByRole("row", { name: /talks.*active/ }).waitFor();
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await page.getByText("begins", { exact: true }).waitFor();

  await page.locator("pre", { hasText: "all said" }).waitFor({ timeout: 120_000 });
  const elements = await page.evaluate<number>("document.querySelectorAll('*').length");
  const characters = await page.evaluate<number>("document.body.textContent.length");
  await page.getByRole("searchbox").fill("line 199999 of");
  await page.getByText("1 line with it").waitFor();
  await page.getByRole("searchbox").fill("");
  await page.getByRole("checkbox", { name: "Wrap lines" }).uncheck();
  await page.getByRole("link", { name: "Back to the environment" }).click();
  await page.getByRole("heading", { name: "Timeline" }).waitFor();

  expect(elements).toBeLessThan(1_000);
  expect(characters).toBeLessThan(4_100_000);
  expect(faults()).toEqual([]);
});

test.for([
  ["behind", -1],
  ["ahead", 1],
] as const)("times are those of the server in a browser that is a day %s", async ([, days], { skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const submit = (name: string) =>
    call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name, duration_hours: 2 });
  const running = await submit("runs");
  const page = await open("/");
  await page.getByRole("row", { name: /^runs.*active/ }).waitFor();
  const waiting = await submit("waits");
  await page.addInitScript(shiftClock, days * 86_400_000);
  await page.goto(url);
  const clock = await page.evaluate(() => Date.now());
  await page.getByRole("row", { name: /^runs.*active.*(1 h 5\d min|2 h) left/ }).waitFor();
  await page.getByRole("row", { name: /^waits.*queued.*in about (1 h 5\d min|2 h)/ }).waitFor();
  const times: string[] = [];
  for (const { job_id } of [running, waiting]) {
    await page.goto(`${url}/jobs/${job_id}`);
    await page
      .getByText(/^\d+ s so far$/)
      .first()
      .waitFor();
    times.push(
      ...(await page.locator("time").evaluateAll((found) => found.map((time) => time.getAttribute("datetime") ?? ""))),
    );
  }

  expect(Math.abs(clock - Date.now())).toBeGreaterThan(80_000_000);
  expect(times.length).toBeGreaterThan(4);
  expect(times.filter((time) => !(Math.abs(Date.parse(time) - Date.now()) < 5 * 3_600_000))).toEqual([]);
  expect(faults()).toEqual([]);
});

/** Runs in the browser before the page. */
function shiftClock(ms: number): void {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...words: []) {
      if (words.length === 0) super(Real.now() + ms);
      else super(...words);
    }

    static override now() {
      return Real.now() + ms;
    }
  } as DateConstructor;
}
