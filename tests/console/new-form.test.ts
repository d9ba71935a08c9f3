import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E me@laptop";

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
  await expect
    .poll(() => page.locator("#main .command code").innerText())
    .toBe("berth up own --type l40s --gpus 2 --hours 1h");

  await page.getByRole("button", { name: "Start it" }).click();
  await page.getByRole("heading", { name: "own" }).waitFor();
  await page.getByText("2 × l40s").first().waitFor();

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
  const [line, text] = [await page.locator("#main .command code").innerText(), await page.content()];
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

test("a form sends the least time of a job and the public keys that open it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  const [least, keys] = [page.getByLabel("Least time"), page.getByLabel("SSH keys")];
  const start = page.getByRole("button", { name: "Start it" });
  await page.getByLabel("Time", { exact: true }).fill("2h");
  await least.fill("3h");
  const tooLong = [await least.getAttribute("aria-invalid"), await start.isDisabled()];
  await least.fill("90m");
  await keys.fill(`${publicKey}\n\n`);
  await page.getByLabel("Name", { exact: true }).fill("least");
  const line = await page.locator("#main .command code").innerText();
  await page.getByText("berth.yaml").click();
  const file = await page.locator("pre", { hasText: "cpu-x86" }).innerText();
  const wrong = await violations(page);
  const [submit] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith("/v1/jobs/submit")),
    start.click(),
  ]);
  await page.getByRole("heading", { name: "least" }).waitFor();
  await page.getByText("2 h after its start, or after 1.5 h or more when its machine closes").waitFor();

  expect(tooLong).toEqual(["true", true]);
  expect(line).toBe("berth up least --type cpu-x86 --hours 2h --min-hours 90m");
  expect(file).toContain("hours: 2\nmin_hours: 1.5\n");
  expect(submit.postDataJSON()).toMatchObject({ min_duration_hours: 1.5, ssh_public_keys: [publicKey] });
  expect(wrong).toEqual([]);
  expect(faults()).toEqual([]);
});

test("a form outlives a reload for the same user, without its password, and no other user gets it", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, callAsSecond, issueCode, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  const [name, user] = [page.getByLabel("Name", { exact: true }), page.getByLabel("User of the registry")];
  await name.fill("unsent");
  await page.getByText("Private registry").click();
  await user.fill("robot");
  await page.getByLabel("Password or token").fill("pa55-word");
  await page.reload();
  await name.waitFor();
  const after = [await name.inputValue(), await user.inputValue()];
  const password = await page.getByLabel("Password or token").inputValue();
  const stored = await page.evaluate("JSON.stringify({ ...sessionStorage, ...localStorage })");

  await page.goto(`${url}/login#code=${await issueCode(callAsSecond)}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "second" }).waitFor();
  await page.goto(`${url}/new`);
  await name.waitFor();

  expect(after).toEqual(["unsent", "robot"]);
  expect(password).toBe("");
  expect(stored).not.toContain("unsent");
  expect(await name.inputValue()).toBe("");
  expect(faults()).toEqual([]);
});

test("a form is not kept once its user has signed out, here or in another tab", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  const pages = [page, await page.context().newPage()];
  await pages[1]?.goto(`${url}/new`);
  const listKept = () => Promise.all(pages.map((each) => each.evaluate("JSON.stringify({ ...sessionStorage })")));
  for (const each of pages) await each.getByLabel("Command").fill("echo unsent");

  await page.getByRole("button", { name: "developer" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  for (const each of pages) await each.getByText("berth web").waitFor();

  expect((await listKept()).join()).not.toContain("unsent");
  expect(faults()).toEqual([]);
});

test("a second submit of an unchanged form after a lost answer starts no second job", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, key, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  const keys = new Set<string>();
  await page.route(`${url}/v1/jobs/submit`, async (route) => {
    const request = route.request();
    const idempotencyKey = request.headers()["idempotency-key"] ?? "";
    keys.add(idempotencyKey);
    await fetch(`http://127.0.0.1:${new URL(url).port}/v1/jobs/submit`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "idempotency-key": idempotencyKey,
      },
      body: request.postData(),
    });
    await route.abort();
  });
  const start = page.getByRole("button", { name: "Start it" });
  await page.getByLabel("Name", { exact: true }).fill("once");
  await start.click();
  await page.getByRole("alert").getByText("Berth does not answer").waitFor();
  await page.unroute(`${url}/v1/jobs/submit`);
  await start.click();
  await page.getByRole("heading", { name: "once" }).waitFor();
  const { total } = await call<{ total: number }>("GET", "/v1/jobs?name=once");

  expect(keys.size).toBe(1);
  expect(total).toBe(1);
  expect(faults()).toEqual([]);
});

test("a late answer to a submit, or to the rename of a disk, does not replace the form that the user has opened since", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  await call("POST", "/v1/disks", { disk_name: "data" });
  const page = await open("/new");
  const field = page.getByLabel("Name", { exact: true });
  const openForm = async () => {
    await page.getByRole("link", { name: "Environments" }).click();
    outcomes.push(...(await page.locator("main > .outcome").allInnerTexts()));
    await page.getByRole("link", { name: "New environment" }).click();
    await field.fill("typed");
  };
  const outcomes: string[] = [];
  const seen: string[] = [];
  const see = async () => void seen.push(page.url(), await field.inputValue());

  const submit = await holdRequests(page, `${url}/v1/jobs/submit`);
  await field.fill("late");
  await page.getByRole("button", { name: "Start it" }).click();
  await openForm();
  submit.release();
  await page.getByRole("status").getByText("Submit late: done").first().waitFor({ state: "attached" });
  await see();

  await page.getByRole("link", { name: "Disks" }).click();
  await page.getByRole("link", { name: "data" }).click();
  const rename = await holdRequests(page, `${url}/v1/disks/data/rename`);
  await page.getByRole("button", { name: "Rename…" }).click();
  await page.getByRole("dialog").getByLabel("New name").fill("papers");
  await page.getByRole("dialog").getByRole("button", { name: "Rename", exact: true }).click();
  await openForm();
  rename.release();
  await page.getByRole("status").getByText("Rename: done").first().waitFor({ state: "attached" });
  await see();

  expect(seen).toEqual([`${url}/new`, "typed", `${url}/new`, "typed"]);
  expect(outcomes).toEqual(["Submit late: requested", "Submit late: done"]);
  expect(faults()).toEqual([]);
});

/** Keeps the requests of a path from the stack until they are released. */
async function holdRequests(page: Page, path: string) {
  const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
  await page.route(path, async (route) => {
    await isReleased;
    await route.continue();
  });
  return { release };
}

test("a form with a wrong size of a new disk marks the field, and is not submitted", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/new");
  const start = page.getByRole("button", { name: "Start it" });
  await page.getByLabel("Disk", { exact: true }).fill("data");
  const size = page.getByLabel("Size of the disk in GB");
  const seen: unknown[] = [];
  for (const text of ["50 GB", "9", "10.5", "50", ""]) {
    await size.fill(text);
    seen.push([text, await size.getAttribute("aria-invalid"), await start.isDisabled()]);
  }

  expect(seen).toEqual([
    ["50 GB", "true", true],
    ["9", "true", true],
    ["10.5", "true", true],
    ["50", null, false],
    ["", null, false],
  ]);
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
