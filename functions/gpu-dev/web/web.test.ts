import { describe, expect, test } from "vitest";
import { disableUser } from "#core/users/disable.ts";
import { getUserByName } from "#core/users/record.ts";
import { issueLoginCode } from "#core/users/web-sessions.ts";
import { consoleOrigin, fromConsole, makeWebCode, openBrowser } from "#tests/fixtures/browser.ts";
import { callerNamed, type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

const SECOND = 1000;
const HOUR = 3_600_000;
const stale = "401 This code is unknown, used or expired. Get a new one with: berth web";

type Headers = Readonly<Record<string, string>>;

/** Returns status and text of an answer. */
async function said(response: Response): Promise<string> {
  const { detail } = (await response.json()) as { readonly detail?: unknown };
  return `${response.status} ${detail ?? "ok"}`;
}

async function opened(world: HttpWorld, code: string, headers: Headers = fromConsole): Promise<string> {
  return said(await world.request("POST", "/v1/web/sessions", { body: { code }, headers }));
}

async function listed(world: HttpWorld, headers: Headers) {
  const response = await world.request("GET", "/v1/keys", { headers });
  return ((await response.json()) as { keys: { key_prefix: string; kind: string; current: boolean }[] }).keys;
}

async function loggedIn() {
  const world = await httpWorld();
  const key = await world.login();
  return { world, key, code: await makeWebCode(world, key) };
}

describe("POST /v1/web/codes", () => {
  test("answers with a code of 32 bytes and a minute, which is stored as its hash alone", async () => {
    const world = await httpWorld();
    const key = await world.login();

    const response = await world.request("POST", "/v1/web/codes", { key });

    const { code, expires_at } = (await response.json()) as Readonly<Record<string, string>>;
    expect(response.status).toBe(200);
    expect([code, expires_at]).toEqual([expect.stringMatching(/^[\w-]{43}$/), "2026-01-20T18:01:00Z"]);
    expect(JSON.stringify(world.table.all())).not.toContain(code);
    expect(JSON.stringify(world.log.lines)).not.toContain(code);
  });

  test("needs a key, and not that of a browser", async () => {
    const { world, key } = await loggedIn();
    const browser = await openBrowser(world, key);

    const refused = await world.request("POST", "/v1/web/codes", { headers: browser });

    expect(await said(await world.request("POST", "/v1/web/codes", { headers: fromConsole }))).toBe(
      "401 Not authenticated",
    );
    expect(await said(refused)).toBe(
      "409 A browser's session cannot issue keys or codes. Use the key of a command line",
    );
  });
});

describe("POST /v1/web/codes/show", () => {
  test("names the user as often as asked, and leaves the code usable", async () => {
    const { world, code } = await loggedIn();
    const show = async () => (await world.request("POST", "/v1/web/codes/show", { body: { code } })).json();

    expect([await show(), await show()]).toEqual([{ username: "developer" }, { username: "developer" }]);
    expect(await opened(world, code)).toBe("200 ok");
    expect(await show()).toEqual({ detail: stale.slice(4) });
  });
});

describe("a code of the local stack, without a key", () => {
  test("begins a chain of its own, and adds no other key", async () => {
    const world = await httpWorld();
    await world.login();
    const user = await getUserByName(world.ctx, "developer");
    const { code } = await issueLoginCode(world.ctx, user, "Developers");
    await world.advance(30 * SECOND);

    const response = await world.request("POST", "/v1/web/sessions", { body: { code }, headers: fromConsole });

    expect(await response.json()).toMatchObject({ username: "developer", expires_at: "2026-01-21T06:00:00Z" });
    expect(await opened(world, code)).toBe(stale);
  });
});

describe("POST /v1/web/sessions", () => {
  test("sets a cookie that only this host gets, and only in requests of its own pages", async () => {
    const { world, code } = await loggedIn();

    const response = await world.request("POST", "/v1/web/sessions", { body: { code }, headers: fromConsole });

    const [cookie = "", ...others] = response.headers.getSetCookie();
    expect(others).toEqual([]);
    expect(cookie).toMatch(/^__Host-berth=[\w-]{86}; Max-Age=43200; Path=\/; Secure; HttpOnly; SameSite=Strict$/);
    const secret = cookie.slice("__Host-berth=".length, cookie.indexOf(";"));
    expect(await response.json()).toEqual({
      username: "developer",
      user_id: 1,
      key_prefix: secret.slice(0, 8),
      expires_at: "2026-01-21T06:00:00Z",
    });
    expect(JSON.stringify([world.table.all(), world.log.lines])).not.toContain(secret);
  });

  test("lives as long as the chain of the login, also if its key was rotated", async () => {
    const world = await httpWorld();
    const old = await world.login();
    await world.advance(HOUR);
    const { api_key } = (await (await world.request("POST", "/v1/keys/rotate", { key: old })).json()) as {
      readonly api_key: string;
    };
    const browser = await openBrowser(world, api_key);
    const me = async () => world.request("GET", "/v1/me", { headers: browser });

    expect(await (await me()).json()).toMatchObject({
      key: { kind: "web", expires_at: "2026-01-21T06:00:00Z", chain_ends_at: "2026-01-21T06:00:00Z" },
    });
    await world.advance(11 * HOUR - 1);
    expect((await me()).status).toBe(200);
    world.clock.advance(1);
    expect(await said(await me())).toBe("401 API key has expired");
  });

  test("refuses a code that is used, late, unknown or malformed with one text", async () => {
    const { world, key, code } = await loggedIn();
    const late = await makeWebCode(world, key);
    expect([await opened(world, code), await opened(world, code)]).toEqual(["200 ok", stale]);
    await world.advance(60 * SECOND);

    const wrong = [code, late, "x".repeat(43), "", "../../x", "__proto__"];
    const answers = await Promise.all(wrong.map((each) => opened(world, each)));

    expect(answers).toEqual(wrong.map(() => stale));
    const shown = await world.request("POST", "/v1/web/codes/show", { body: { code: late } });
    expect(await said(shown)).toBe(stale);
  });

  test("takes a code until the last millisecond of its minute", async () => {
    const { world, code } = await loggedIn();
    await world.advance(60 * SECOND - 1);

    expect(await opened(world, code)).toBe("200 ok");
  });

  test("opens one session for 50 simultaneous requests with one code", async () => {
    const { world, key, code } = await loggedIn();

    const answers = await Promise.all(Array.from({ length: 50 }, () => opened(world, code)));

    expect(answers.filter((answer) => answer === "200 ok")).toHaveLength(1);
    expect(answers.filter((answer) => answer === stale)).toHaveLength(49);
    const kinds = (await listed(world, { Authorization: `Bearer ${key}` })).map(({ kind }) => kind);
    expect(kinds).toEqual(["login", "web"]);
  });

  test.each([
    ["cross-site", { ...fromConsole, "Sec-Fetch-Site": "cross-site" }],
    ["same-site", { ...fromConsole, "Sec-Fetch-Site": "same-site" }],
    ["a typed address", { ...fromConsole, "Sec-Fetch-Site": "none" }],
    ["without Sec-Fetch-Site", { Host: fromConsole.Host, Origin: consoleOrigin }],
    ["without Origin", { Host: fromConsole.Host, "Sec-Fetch-Site": "same-origin" }],
    ["with the Origin of a preview", { ...fromConsole, Origin: "https://x.preview.berth.example" }],
    ["with an opaque Origin", { ...fromConsole, Origin: "null" }],
    ["with the Origin of another scheme", { ...fromConsole, Origin: "http://berth.example" }],
  ])("refuses a request %s, and leaves the code usable", async (_, headers) => {
    const { world, code } = await loggedIn();

    const response = await world.request("POST", "/v1/web/sessions", { body: { code }, headers });

    expect(response.headers.getSetCookie()).toEqual([]);
    expect(await said(response)).toBe("400 Only the console's own page can log a browser in");
    expect(await opened(world, code)).toBe("200 ok");
  });

  test("refuses a code whose key was revoked or whose user was disabled in between", async () => {
    const { world, key, code } = await loggedIn();
    const other = await world.login(second);
    const theirs = await makeWebCode(world, other);
    await world.request("DELETE", `/v1/keys/${key.slice(0, 8)}`, { key });
    await disableUser(world.ctx, "second");

    expect(await opened(world, code)).toBe(stale);
    expect(await opened(world, theirs)).toBe("403 User account is disabled");
    expect(world.table.all().filter(({ isWeb }) => isWeb)).toEqual([]);
  });

  test("logs in the user whose code it is, whatever cookie the browser had", async () => {
    const { world, key } = await loggedIn();
    const browser = await openBrowser(world, key);
    const theirs = await makeWebCode(world, await world.login(second));

    const response = await world.request("POST", "/v1/web/sessions", { body: { code: theirs }, headers: browser });

    expect(await response.json()).toMatchObject({ username: "second" });
  });

  test("ends the oldest session with a sixth browser, and no other key", async () => {
    const world = await httpWorld();
    const key = await world.login();
    const browsers: Headers[] = [];
    for (let n = 0; n < 6; n++) browsers.push(await openBrowser(world, key));
    await world.deliver();
    world.clock.advance(6 * SECOND);

    const answers = await Promise.all(browsers.map((headers) => world.request("GET", "/v1/me", { headers })));

    expect(answers.map(({ status }) => status)).toEqual([401, 200, 200, 200, 200, 200]);
    expect((await listed(world, { Authorization: `Bearer ${key}` })).map(({ kind }) => kind)).toEqual([
      ...["login", "web", "web", "web", "web", "web"],
    ]);
  });

  test("leaves sessions alone when an eleventh key ends the first", async () => {
    const world = await httpWorld();
    const first = await world.login();
    const browser = await openBrowser(world, first);
    for (let n = 0; n < 10; n++) await world.login();
    await world.deliver();
    world.clock.advance(6 * SECOND);

    expect((await world.request("GET", "/v1/me", { headers: browser })).status).toBe(200);
    expect((await world.request("GET", "/v1/me", { key: first })).status).toBe(401);
  });

  test("keeps the role of the login, so that an operator is one in the browser too", async () => {
    const operator = callerNamed("grace", { arn: "arn:aws:sts::000000000000:assumed-role/Operators/grace" });
    const world = await httpWorld({ callers: [operator], settings: { adminRoles: ["Operators"] } });
    const browser = await openBrowser(world, await world.login(operator));

    const response = await world.request("GET", "/v1/me", { headers: browser });

    expect(await response.json()).toMatchObject({ username: "grace", is_operator: true });
  });
});

describe("DELETE /v1/web/sessions", () => {
  test("revokes the key of this browser alone, and clears the cookie", async () => {
    const { world, key } = await loggedIn();
    const [browser, other] = [await openBrowser(world, key), await openBrowser(world, key)];

    const response = await world.request("DELETE", "/v1/web/sessions", { headers: browser });

    expect(response.headers.getSetCookie()).toEqual([
      "__Host-berth=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict",
    ]);
    expect(await response.json()).toEqual({ status: "signed_out" });
    expect(await said(await world.request("GET", "/v1/me", { headers: browser }))).toBe("401 API key has been revoked");
    expect((await listed(world, other)).map(({ kind, current }) => [kind, current])).toEqual([
      ["login", false],
      ["web", true],
    ]);
  });

  test("refuses a key that is no browser's, and leaves it valid", async () => {
    const { world, key } = await loggedIn();

    const response = await world.request("DELETE", "/v1/web/sessions", { key });

    expect(await said(response)).toBe(
      "409 This request has no browser's session. Revoke its key with DELETE /v1/keys/{prefix}",
    );
    expect((await world.request("GET", "/v1/me", { key })).status).toBe(200);
  });
});

describe("a browser's session", () => {
  test("can be revoked from the command line, and ends with its user", async () => {
    const { world, key } = await loggedIn();
    const [browser, other] = [await openBrowser(world, key), await openBrowser(world, key)];
    const prefix = browser.Cookie.slice("__Host-berth=".length).slice(0, 8);

    await world.request("DELETE", `/v1/keys/${prefix}`, { key });
    expect((await world.request("GET", "/v1/me", { headers: browser })).status).toBe(401);
    expect((await world.request("GET", "/v1/me", { headers: other })).status).toBe(200);
    await disableUser(world.ctx, "developer");
    await world.deliver();
    world.clock.advance(6 * SECOND);

    const response = await world.request("GET", "/v1/me", { headers: other });
    expect(await said(response)).toBe("403 User account is disabled");
  });

  test("stays valid when the key that opened it is revoked", async () => {
    const { world, key } = await loggedIn();
    const browser = await openBrowser(world, key);

    await world.request("DELETE", `/v1/keys/${key.slice(0, 8)}`, { key });

    expect((await world.request("GET", "/v1/me", { headers: browser })).status).toBe(200);
  });

  test("cannot be exchanged for a key that a page could read", async () => {
    const { world, key } = await loggedIn();
    const browser = await openBrowser(world, key);

    const response = await world.request("POST", "/v1/keys/rotate", { headers: browser });

    expect(await said(response)).toMatch(/^409 A browser's session cannot issue keys/);
  });
});
