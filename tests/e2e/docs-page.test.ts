import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromium } from "./browser-fixture.ts";
import { runProgram } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const fixture = openStackFixture("berth-docs-");
let profile: string;
let stack: StackProcess;

beforeAll(async () => {
  profile = mkdtempSync(join(tmpdir(), "berth-browser-"));
  stack = await fixture.start();
});

afterAll(async () => {
  rmSync(profile, { recursive: true });
  await fixture.close();
});

describe("/docs in a browser", () => {
  it("shows every operation and calls no other host", async ({ skip }) => {
    skip(chromium === undefined, "there is no Chromium on this machine");
    const words = [...quiet, `--user-data-dir=${profile}`, `--log-net-log=${join(profile, "net.json")}`];

    const { stdout: page } = await runProgram(chromium ?? "", [...words, "--dump-dom", `${stack.url}/docs`], {
      env: { HOME: profile },
    });

    expect(shownIn(page)).toEqual(listOperations(readFileSync(join(root, "openapi.json"), "utf8")));
    expect(askedFor(readFileSync(join(profile, "net.json"), "utf8"), stack.url).toSorted()).toEqual([
      `${stack.url}/docs/start.js`,
      `${stack.url}/docs/swagger-ui-bundle.js`,
      `${stack.url}/docs/swagger-ui.css`,
      `${stack.url}/openapi.json`,
    ]);
  });
});

/** Options for a headless browser whose own background requests reach no host. */
const quiet = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
  ...["--disable-background-networking", "--disable-component-update", "--no-proxy-server"],
  ...["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=10000"],
];

/** Returns the operations that Swagger UI has rendered, such as `GET /v1/jobs`. */
function shownIn(page: string): string[] {
  const methods = Array.from(page.matchAll(/class="opblock-summary-method"[^>]*>([A-Z]+)</g), ([, method]) => method);
  const paths = Array.from(page.matchAll(/data-path="([^"]+)"/g), ([, path]) => path);
  return paths.map((path, at) => `${methods[at]} ${path}`).toSorted();
}

function listOperations(document: string): string[] {
  const { paths } = JSON.parse(document) as { paths: Record<string, object> };
  return Object.entries(paths)
    .flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`))
    .toSorted();
}

/** Returns the requests of a page from Chromium's network log, a JSON document of constants and events. */
function askedFor(netLog: string, origin: string): string[] {
  const { constants, events } = JSON.parse(netLog) as NetLog;
  const started = events.filter(({ type }) => type === constants.logEventTypes.URL_REQUEST_START_JOB);
  return started.filter(({ params }) => params?.initiator === origin).map(({ params }) => params?.url ?? "");
}

interface NetLog {
  readonly constants: { readonly logEventTypes: Readonly<Record<string, number>> };
  readonly events: readonly {
    readonly type: number;
    readonly params?: { readonly url?: string; readonly initiator?: string };
  }[];
}
