import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium as browserType, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { chromium } from "../e2e/browser-fixture.ts";
import { openStackFixture } from "../e2e/stack-fixture.ts";
import { domain } from "./front-fixture.ts";

/** Why there is no browser, or undefined. */
export const noBrowser = chromium ? undefined : "there is no Chromium on this machine; CHROMIUM can name one";

export interface ConsoleFixture {
  /** The console's address, without a slash at the end. */
  readonly url: string;
  /** Directory of the stack. */
  readonly home: string;
  /** Calls the API with the local user's key. */
  call<Answer>(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Calls the API with the key of the user `second`. */
  callAsSecond<Answer>(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The local user's key. */
  readonly key: string;
  /** Issues the code of a login link, for the local user unless the caller is another one. */
  issueCode(caller?: Caller): Promise<string>;
  /** Opens a screen, or another address, in a new browser that has no session. */
  visit(path: string, options?: BrowserContextOptions): Promise<Page>;
  /** Opens a screen in a new browser that is logged in as the local user. */
  open(path: string, options?: BrowserContextOptions): Promise<Page>;
  /** Opens a screen in a new browser that is logged in as the user `second`. */
  openAsSecond(path: string, options?: BrowserContextOptions): Promise<Page>;
  /** Stops the stack. With SIGUSR2 or SIGKILL its environments keep running. */
  stop(signal?: "SIGTERM" | "SIGUSR2" | "SIGKILL"): Promise<unknown>;
  /** Starts the stack again, at the same port and with the same home. */
  startAgain(): Promise<unknown>;
  /** Returns what went wrong in all pages so far: errors, violations of the policy. */
  faults(): readonly string[];
}

const browserWords = ["--no-sandbox", `--host-resolver-rules=MAP *.${domain} 127.0.0.1`];

/**
 * All tests of a worker share a browser process, and each has contexts of its own. The library ends the browser with the
 * worker.
 */
let launched: Promise<Browser> | undefined;

/** A running stack, and pages in a headless browser, until the test ends. */
export async function openConsole(settings: Readonly<Record<string, string>> = {}): Promise<ConsoleFixture> {
  const stacks = openStackFixture("berth-console-");
  onTestFinished(() => stacks.close());
  const stack = await stacks.start(settings);
  launched ??= browserType.launch({ executablePath: chromium ?? "", args: browserWords });
  const browser = await launched;
  onTestFinished(async () => void (await Promise.all(browser.contexts().map((context) => context.close()))));
  const { API_KEY: key = "" } = await stack.env();
  const url = `http://berth.localhost:${new URL(stack.url).port}`;
  const faults: string[] = [];
  const call = callerFor(stack.url, async () => key);
  const callAsSecond = callerFor(stack.url, async () => (await stack.env("--user", "second")).API_KEY ?? "");
  const issueCode = async (caller: Caller = call) => (await caller<{ code: string }>("POST", "/v1/web/codes")).code;
  const visit = (path: string, options: BrowserContextOptions = {}) =>
    openPage(browser, { url: new URL(path, url).href, faults, options });
  const openerFor = (caller: Caller) => async (path: string, options?: BrowserContextOptions) => {
    const session = await openSession(stack.url, url, await issueCode(caller));
    const page = await openPage(browser, { url: url + path, faults, options: options ?? {}, session });
    if (path === "/") await page.getByRole("heading", { name: "Environments", exact: true }).waitFor();
    return page;
  };
  return {
    url,
    home: stacks.home,
    call,
    callAsSecond,
    key,
    issueCode,
    visit,
    open: openerFor(call),
    openAsSecond: openerFor(callAsSecond),
    stop: (signal = "SIGTERM") => stack.kill(signal),
    startAgain: () => stacks.start({ ...settings, PORT: new URL(stack.url).port }),
    faults: () => faults,
  };
}

type Caller = ConsoleFixture["call"];

function callerFor(url: string, getKey: () => Promise<string>): Caller {
  return async <Answer>(method: string, path: string, body?: unknown) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${await getKey()}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  };
}

/**
 * Uses the code of a login link as the login page does, and returns the cookie's value. A browser that shows that page
 * first takes twice as long. The tests of logins go the whole way.
 */
async function openSession(stackUrl: string, origin: string, code: string): Promise<string> {
  const headers = { Host: new URL(origin).host, Origin: origin, "Sec-Fetch-Site": "same-origin" };
  const sent = request(`${stackUrl}/v1/web/sessions`, { method: "POST", headers }).end(JSON.stringify({ code }));
  const [{ headers: answer, statusCode }] = (await once(sent, "response")) as [IncomingMessage];
  const [, value] = /^__Host-berth=([^;]+)/.exec(answer["set-cookie"]?.[0] ?? "") ?? [];
  if (value === undefined) throw new Error(`A session was refused with ${statusCode}`);
  return value;
}

interface OpenedPage {
  readonly url: string;
  readonly faults: string[];
  readonly options: BrowserContextOptions;
  /** The value of the session's cookie, if the browser is logged in. */
  readonly session?: string;
}

async function openPage(browser: Browser, { url, faults, options, session }: OpenedPage): Promise<Page> {
  const context = await browser.newContext(options);
  if (session !== undefined) await context.addCookies([sessionCookie(session, url)]);
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`${error}`));
  page.on("console", (message) => {
    const text = message.text();
    // The browser says this of every answer that is an error.
    if (message.type() === "error" && !text.startsWith("Failed to load resource")) faults.push(text);
  });
  await page.goto(url);
  return page;
}

function sessionCookie(value: string, url: string) {
  const host = { domain: new URL(url).hostname, path: "/" };
  return { ...host, name: "__Host-berth", value, secure: true, httpOnly: true, sameSite: "Strict" } as const;
}

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

/** Rules of axe, and those that depend on colours. */
const allRules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const colourRules = { type: "rule", values: ["color-contrast", "link-in-text-block"] };

/** Returns the violations of WCAG 2.2 AA that axe finds in a page, in light and in dark: each rule with an element. */
export async function violations(page: Page): Promise<string[]> {
  await page.emulateMedia({ colorScheme: "light" });
  // Evaluated by the debugger, so the page's policy does not apply.
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(axe.source);
  const inLight = await runAxe(page, allRules);
  await page.emulateMedia({ colorScheme: "dark" });
  const inDark = await runAxe(page, colourRules);
  await page.emulateMedia({ colorScheme: "light" });
  return [...inLight, ...inDark.map((violation) => `dark: ${violation}`)];
}

async function runAxe(page: Page, runOnly: unknown): Promise<string[]> {
  const run = `axe.run(document, ${JSON.stringify({ runOnly, resultTypes: ["violations"] })})`;
  const { violations: found } = (await page.evaluate(run)) as AxeResults;
  return found.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .map(({ html }) => html)
        .join(" ")
        .slice(0, 500)}`,
  );
}
