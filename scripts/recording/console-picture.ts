import { fileURLToPath } from "node:url";
import { chromium as browserType } from "playwright-core";
import { openCliFixture } from "../../packages/cli/cli-fixture.ts";
import { Berth } from "../../packages/sdk/berth.ts";
import { chromium } from "../../tests/e2e/browser-fixture.ts";

/** `npm run picture` takes a picture of the web console on its own embedded stack: docs/pictures/console.png. */
const path = fileURLToPath(new URL("../../docs/pictures/console.png", import.meta.url));
const machine = { image: "ubuntu:24.04", instance_type: "p5.48xlarge" } as const;
const cli = await openCliFixture();
try {
  await begin(cli.berth, { name: "train", gpu_count: 4, duration_hours: 6, disk_name: "data", jupyter_enabled: true });
  await begin(await getSecondUser(), { name: "other", gpu_count: 8, duration_hours: 2 });
  await cli.berth.jobs.submit({ ...machine, name: "sweep", gpu_count: 8, duration_hours: 3 });
  await takePicture();
  console.log("Wrote docs/pictures/console.png.");
} finally {
  await cli.close();
}

async function begin(berth: Berth, wanted: object): Promise<void> {
  const { job_id } = await berth.jobs.submit({ ...machine, ...wanted });
  await berth.jobs.wait(job_id, { until: "active" });
}

async function getSecondUser(): Promise<Berth> {
  const { API_URL: url = "", API_KEY: key = "" } = await cli.running.env("--user", "second");
  return new Berth({ url, key });
}

async function takePicture(): Promise<void> {
  const browser = await browserType.launch({ executablePath: chromium ?? "", args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1000, height: 330 }, colorScheme: "light" });
    const { code } = await cli.berth.web.createCode();
    await page.goto(`http://berth.localhost:${new URL(cli.running.url).port}/login#code=${code}`);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("sweep").first().waitFor();
    await page.screenshot({ path, animations: "disabled" });
  } finally {
    await browser.close();
  }
}
