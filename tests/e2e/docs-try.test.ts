import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BrowserPage, chromium, openPage } from "./browser-fixture.ts";
import { openStackFixture, type StackProcess } from "./stack-fixture.ts";

const fixture = openStackFixture("berth-try-");
let stack: StackProcess;

beforeAll(async () => {
  stack = await fixture.start();
});

afterAll(() => fixture.close());

describe("/docs for a new user", () => {
  it("says at its top how to get a key, and accepts each proposed request unchanged", async ({ skip }) => {
    skip(chromium === undefined, "there is no Chromium on this machine");
    const { API_KEY: key = "" } = await stack.env();
    const page = await openPage(`${stack.url}/docs`);

    try {
      await page.until('document.querySelectorAll(".opblock").length > 50');
      const words = String(await page.evaluate("document.querySelector('.swagger-ui').innerText"));
      await filterByTag(page, "Jobs-submitJob");
      await authorize(page, key);
      const answers: unknown[] = [];
      for (const operation of tried) answers.push([operation, await execute(page, operation)]);

      expect(words.indexOf("How to get a key")).toBeGreaterThan(0);
      expect(words.indexOf("How to get a key")).toBeLessThan(words.indexOf("Authorize"));
      expect(words.indexOf("/v1/auth/aws-login", words.indexOf("Authorize"))).toBeLessThan(
        words.indexOf("/v1/jobs/submit"),
      );
      expect(words.indexOf("/v1/jobs/submit")).toBeLessThan(words.indexOf("/health"));
      expect(answers).toEqual(tried.map((operation) => [operation, expect.stringMatching(/^20[01]/)]));
    } finally {
      await page.close();
    }
  });
});

/** Operations by tag and id: a create of each API, and reads with the proposed queries. */
const tried = [
  ...[
    "Jobs-submitJob",
    "Jobs-estimateJob",
    "Jobs-listJobs",
    "Disks-createDisk",
    "Disks-getDisk",
    "Capacity-getAvailability",
  ],
  ...["Sessions-createSession", "Workspaces-listWorkspaces", "IDE_sessions-createIdeSession"],
  ...["Instances-createInstance", "Environments-createEnvironment"],
];

async function authorize(page: BrowserPage, key: string): Promise<void> {
  await page.evaluate("document.querySelector('.btn.authorize').click()");
  await page.until("!!document.querySelector('.auth-container input')");
  await page.evaluate(type(".auth-container input", key));
  await page.evaluate("document.querySelector('.auth-btn-wrapper .authorize').click()");
  await page.until("!!document.querySelector('.btn-done')");
  await page.evaluate("document.querySelector('.btn-done').click()");
}

/** Returns an expression that enters a text as a user would. React replaces the property of the element itself. */
function type(selector: string, text: string): string {
  return `(() => {
    const input = document.querySelector("${selector}");
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, ${JSON.stringify(text)});
    input.dispatchEvent(new Event("input", { bubbles: true }));
  })()`;
}

/** Swagger UI draws all shown operations anew at each click. */
async function filterByTag(page: BrowserPage, operation: string): Promise<void> {
  const [tag = ""] = operation.split("-");
  await page.evaluate(type(".operation-filter-input", tag.replaceAll("_", " ")));
  await page.until('document.querySelectorAll(".opblock").length < 30');
}

/** Filters by the tag of an operation, opens it, presses "Try it out" and "Execute", and returns the shown status. */
async function execute(page: BrowserPage, operation: string): Promise<string> {
  await filterByTag(page, operation);
  const within = (selector: string) => `document.querySelector("#operations-${operation} ${selector}")`;
  const press = async (selector: string) => {
    await page.until(`!!${within(selector)}`);
    await page.evaluate(`${within(selector)}.click()`);
  };
  await press(".opblock-summary-control");
  await press(".try-out__btn");
  await press(".execute");
  const status = within(".live-responses-table .response .response-col_status");
  await page.until(`/^\\d/.test(${status}?.innerText ?? "")`);
  return String(await page.evaluate(`${status}.innerText`));
}
