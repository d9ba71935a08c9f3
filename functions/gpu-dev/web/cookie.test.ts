import { describe, expect, test } from "vitest";
import { consoleOrigin, fromConsole, openBrowser } from "#tests/fixtures/browser.ts";
import { plainJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

type Headers = Readonly<Record<string, string>>;

async function browserWorld() {
  const world = await httpWorld();
  const key = await world.login();
  const browser = await openBrowser(world, key);
  return { world, key, browser };
}

/** Returns the status of a read and of a write with these headers. */
async function statuses(world: HttpWorld, headers: Headers, prefix = ""): Promise<number[]> {
  const paths = [
    ["GET", "/v1/jobs"],
    ["POST", "/v1/jobs/estimate"],
  ] as const;
  const ask = async ([method, path]: (typeof paths)[number]) =>
    (await world.request(method, `${prefix}${path}`, { headers, ...(method === "POST" && { body: plainJob }) })).status;
  return Promise.all(paths.map(ask));
}

describe("the cookie of a browser's session", () => {
  test("is a key for reads and writes of the console", async () => {
    const { world, browser } = await browserWorld();
    const { Origin: _, ...withoutOrigin } = browser;

    expect(await statuses(world, browser)).toEqual([200, 200]);
    // A browser sends no Origin with a GET to the page's own host.
    expect(await statuses(world, withoutOrigin)).toEqual([200, 401]);
    expect((await world.request("HEAD", "/v1/jobs", { headers: withoutOrigin })).status).toBe(200);
  });

  test("is found among other cookies, in any place", async () => {
    const { world, browser } = await browserWorld();
    const { Cookie } = browser;

    for (const around of [`a=b; ${Cookie}`, `${Cookie};c="d;e"`, `x__Host-berth=1;  ${Cookie} ; __host-berth=2`]) {
      expect(await statuses(world, { ...browser, Cookie: around })).toEqual([200, 200]);
    }
  });

  test.each([
    ["of another site", { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" }],
    ["of another site that forges no Origin", { "Sec-Fetch-Site": "cross-site" }],
    ["of the same site, such as a preview", { "Sec-Fetch-Site": "same-site", Origin: "https://x.berth.example" }],
    ["of a typed address", { "Sec-Fetch-Site": "none" }],
    ["with two words", { "Sec-Fetch-Site": "same-origin, cross-site" }],
    ["in other letters", { "Sec-Fetch-Site": "Same-Origin" }],
    ["with an empty word", { "Sec-Fetch-Site": "" }],
    ["with another Origin", { Origin: "https://x.berth.example" }],
    ["with an opaque Origin", { Origin: "null" }],
    ["with an Origin of another port", { Origin: `${consoleOrigin}:8443` }],
    ["with an Origin of another scheme", { Origin: "http://berth.example" }],
    ["with an Origin that only begins like it", { Origin: `${consoleOrigin}.evil.example` }],
    ["with an empty Origin", { Origin: "" }],
    ["with an empty cookie", { Cookie: "__Host-berth=" }],
    ["with the cookie's name in other letters", { Cookie: "__host-berth=x" }],
  ])("is no key in a request %s", async (_, changed) => {
    const { world, browser } = await browserWorld();

    expect(await statuses(world, { ...browser, ...changed })).toEqual([401, 401]);
  });

  test("is no key without Sec-Fetch-Site", async () => {
    const { world, browser } = await browserWorld();
    const { "Sec-Fetch-Site": _, ...others } = browser;

    expect(await statuses(world, others)).toEqual([401, 401]);
  });

  test("is no key if it is sent twice, because no browser does that", async () => {
    const { world, browser } = await browserWorld();

    expect(await statuses(world, { ...browser, Cookie: `${browser.Cookie}; ${browser.Cookie}` })).toEqual([401, 401]);
  });

  test("is no key under /k/, where the key of the path counts alone", async () => {
    const { world, key, browser } = await browserWorld();

    expect(await statuses(world, browser, "/k/")).toEqual([401, 401]);
    expect(await statuses(world, browser, "/k/x")).toEqual([401, 401]);
    expect(await statuses(world, browser, `/k/${key}`)).toEqual([200, 200]);
  });

  test("gives way to a key in the headers, valid or not, and to any Authorization", async () => {
    const { world, browser } = await browserWorld();
    const theirs = await world.login(second);
    const name = async (headers: Headers) => {
      const response = await world.request("GET", "/v1/me", { headers: { ...browser, ...headers } });
      const { username, detail } = (await response.json()) as Readonly<Record<string, unknown>>;
      return username ?? detail;
    };

    expect(await name({ Authorization: `Bearer ${theirs}` })).toBe("second");
    expect(await name({ "X-API-Key": theirs })).toBe("second");
    expect(await name({ Authorization: `Bearer ${"x".repeat(86)}` })).toBe("Invalid API key");
    expect(await name({ Authorization: "Basic YTpi" })).toBe("Not authenticated");
    expect(await name({})).toBe("developer");
  });

  test.each([
    ["session-manager", "/sessions"],
    ["onmemos", "/v1/sessions"],
    ["novita", "/api/instances"],
    ["dev8", "/api/v1/environments"],
  ])("is no key of %s", async (_, path) => {
    const { world, key, browser } = await browserWorld();

    expect((await world.request("GET", path, { headers: browser })).status).toBe(401);
    expect((await world.request("GET", path, { key })).status).not.toBe(401);
  });

  test("holds a key that counts in no other place, and no other key counts in it", async () => {
    const { world, key, browser } = await browserWorld();
    const secret = browser.Cookie.slice("__Host-berth=".length);

    expect(await statuses(world, { Authorization: `Bearer ${secret}` })).toEqual([401, 401]);
    expect(await statuses(world, { "X-API-Key": secret })).toEqual([401, 401]);
    expect(await statuses(world, {}, `/k/${secret}`)).toEqual([401, 401]);
    expect(await statuses(world, { ...fromConsole, Cookie: `__Host-berth=${key}` })).toEqual([401, 401]);
    expect(await statuses(world, browser)).toEqual([200, 200]);
  });

  test("leads to no answer that another site may read", async () => {
    const { world, browser } = await browserWorld();
    const headers = { ...browser, Origin: "https://evil.example", "Access-Control-Request-Method": "POST" };

    const answers = await Promise.all([
      world.request("OPTIONS", "/v1/web/sessions", { headers }),
      world.request("GET", "/v1/jobs", { headers: browser }),
    ]);

    const names = answers.flatMap((answer) => [...answer.headers.keys()]);
    expect(names.filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});
