import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { chromium, openPage } from "../../tests/e2e/browser-fixture.ts";
import { openStackFixture } from "../../tests/e2e/stack-fixture.ts";

/** Returns the SDK as a bundler puts it into a page, as one global. */
async function bundleForBrowser(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL("index.ts", import.meta.url).pathname],
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    globalName: "berthSdk",
    platform: "browser",
    target: "es2022",
  });
  return outputFiles[0]?.text ?? "";
}

test("the SDK is at most 12 kB for a browser, compressed", async () => {
  expect(gzipSync(await bundleForBrowser()).length).toBeLessThanOrEqual(12_000);
});

test("the SDK submits a job and follows its log in a browser", async ({ skip }) => {
  skip(chromium === undefined, "there is no Chromium on this machine");
  const fixture = openStackFixture("berth-browser-");
  const stack = await fixture.start();
  const { API_KEY: key = "" } = await stack.env();
  const page = await openPage(`${stack.url}/docs`);
  try {
    await page.until("location.protocol === 'http:' && document.readyState === 'complete'");
    await page.evaluate(`${await bundleForBrowser()}; globalThis.berthSdk = berthSdk; 0`);
    const printed = await page.evaluate(`(async () => {
      const berth = new berthSdk.Berth({ url: location.origin, key: ${JSON.stringify(key)} });
      const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", command: "echo hello browser" };
      const { job_id } = await berth.jobs.submit(job);
      let log = "";
      for await (const text of berth.jobs.logs(job_id, { follow: true })) log += text;
      const error = await berth.jobs.get("00000000").catch((thrown) => thrown);
      return log + (error instanceof berthSdk.NotFoundError);
    })().catch((error) => String(error))`);

    expect(printed).toBe("hello browser\ntrue");
  } finally {
    await page.close();
    await fixture.close();
  }
});
