import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

test("a form offers machines that only this deployment has", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({
    MACHINE_TYPES: "g6e.12xlarge=l40s:4:48:384",
    LOCAL_NODES: "g6e.12xlarge=1,c7i.8xlarge=1",
  });
  const page = await open("/new");
  await page.getByRole("radio", { name: /^l40s g6e\.12xlarge 4 of 4 free/ }).check();
  await page.getByRole("radio", { name: "2", exact: true }).check();
  await page.getByLabel("Name", { exact: true }).fill("own");
  const line = await page.locator(".command code").innerText();

  await page.getByRole("button", { name: "Start it" }).click();
  await page.getByRole("heading", { name: "own" }).waitFor();
  await page.getByText("2 × l40s").first().waitFor();

  expect(line).toBe("berth up own --type l40s --gpus 2 --hours 1h");
  expect(faults()).toEqual([]);
});

test("the password of a registry is submitted, and shown nowhere", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  await page.getByText("Private registry").click();
  await page.getByLabel("User of the registry").fill("robot");
  await page.getByLabel("Password or token").fill("pa55-word");
  await page.getByLabel("Name", { exact: true }).fill("private");
  await page.getByText("JSON of POST").click();
  await page.getByText(/"username": "robot",\s+"password": "…"/).waitFor();
  const [line, text] = [await page.locator(".command code").innerText(), await page.content()];
  const wrong = await violations(page);
  const [submit] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith("/v1/jobs/submit")),
    page.getByRole("button", { name: "Start it" }).click(),
  ]);
  await page.getByRole("heading", { name: "private" }).waitFor();

  expect(line).toBe(
    "REGISTRY_PASSWORD=… berth up private --type cpu-x86 --hours 1h --image pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime --registry-user robot",
  );
  expect(text).not.toContain("pa55-word");
  expect(submit.postDataJSON()).toMatchObject({ registry_auth: { username: "robot", password: "pa55-word" } });
  expect(wrong).toEqual([]);
  expect(faults()).toEqual([]);
});

test("a submit without an answer does not say that the page repeats it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  await page.route(`${url}/v1/jobs/submit`, (route) => route.abort());
  await page.getByRole("button", { name: "Start it" }).click();
  const failure = page.getByRole("alert");
  await failure.getByText("Berth does not answer").waitFor();
  const text = await failure.innerText();

  expect(text).toContain("Try again in a moment.");
  expect(text).not.toContain("by itself");
  expect(await page.getByRole("button", { name: "Start it" }).isEnabled()).toBe(true);
  expect(faults()).toEqual([]);
});
