import { expect, test } from "vitest";
import { buildApp } from "#http/app.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { endpoint } from "./root.ts";

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const printed =
  '{"service":"GPU Dev API","version":"1.0.0","docs":"/docs","health":"/health","auth":{"aws_login":"/v1/auth/aws-login","description":"Use AWS credentials to obtain an API key"},"endpoints":{"jobs":"/v1/jobs","disks":"/v1/disks","gpu_availability":"/v1/gpu/availability","cluster_status":"/v1/cluster/status"}}';

async function get(headers: Record<string, string> = {}, deployment: object = {}): Promise<Response> {
  const runtime = await fixtureRuntime();
  const ownValue = { ...runtime.deployment, ...deployment };
  return buildApp({ ...runtime, deployment: ownValue }, [endpoint]).request("/", { headers });
}

test.each([undefined, "*/*", "application/json", "application/json, text/html;q=0.5", "text/plain", "text/htmlx", ""])(
  "the root answers a client that accepts %j exactly as documented",
  async (accept) => {
    const response = await get(accept === undefined ? {} : { accept });

    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await response.text()).toBe(printed);
  },
);

test("a browser gets a page with the install command and working links", async () => {
  const response = await get({ accept: browser, host: "berth.example" });
  const html = await response.text();

  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(html).toContain("npm install -g https://berth.example/cli/berth.tgz\nberth login https://berth.example\n");
  expect([...html.matchAll(/href="(\/[^"]*)"/g)].map(([, path]) => path)).toEqual([
    "/docs",
    "/openapi.json",
    "/health",
  ]);
});

test.each([
  ["127.0.0.1:8080", "http://127.0.0.1:8080"],
  ["localhost", "http://localhost"],
  ["[::1]:8080", "http://[::1]:8080"],
  ["berth.example:8443", "https://berth.example:8443"],
  ["127.0.0.1.berth.example", "https://127.0.0.1.berth.example"],
  ["localhost.berth.example", "https://localhost.berth.example"],
])("the page of the host %s links to %s", async (host, address) => {
  expect(await (await get({ accept: browser, host })).text()).toContain(`npm install -g ${address}/cli/berth.tgz\n`);
});

test.each(['"><script>alert(1)</script>', "a b", "x;rm -rf", "$(id)", "a/b", "user@host", ""])(
  "the page does not repeat the host %j",
  async (host) => {
    const html = await (await get({ accept: browser, ...(host && { host }) })).text();

    expect(html).toContain("npm install -g https://&lt;this address&gt;/cli/berth.tgz\n");
    expect(html).not.toMatch(/<script|rm -rf|\$\(/);
  },
);

test("the page of a deployment without a command line shows no install command", async () => {
  const html = await (await get({ accept: browser, host: "berth.example" }, { cli: () => undefined })).text();

  expect(html).not.toContain("npm install");
  expect(html).toContain("berth login https://berth.example\n");
});

test("the page may neither load resources nor run scripts", async () => {
  const response = await get({ accept: browser, host: "berth.example" });

  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]+=*'; /);
  expect(policy).not.toMatch(/unsafe|script|https?:|\*/);
  expect(await response.text()).not.toMatch(/<script|\son\w+=|\sstyle=|src=|url\(/);
});
