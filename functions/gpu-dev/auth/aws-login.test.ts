import { expect, test } from "vitest";
import { Conflict } from "#core/problem.ts";
import {
  callerNamed,
  developer,
  type HttpWorld,
  type HttpWorldOptions,
  httpWorld,
  loginBody,
  second,
} from "#tests/worlds/http-world.ts";

const path = "/v1/auth/aws-login";
const sts = "arn:aws:sts::000000000000:assumed-role";

async function answerTo(world: HttpWorld, body: unknown): Promise<[number, Record<string, unknown>]> {
  const response = await world.request("POST", path, { body });
  return [response.status, (await response.json()) as Record<string, unknown>];
}

async function loggedIn(world: HttpWorld, caller = developer): Promise<Record<string, unknown>> {
  const [status, body] = await answerTo(world, loginBody(caller));
  expect(status).toBe(200);
  return body;
}

/** Reports whether the key opens a closed endpoint, or the error. */
async function tryKey(world: HttpWorld, key: unknown): Promise<[number, unknown]> {
  const response = await world.request("GET", "/v1/jobs", { key: String(key) });
  const { detail } = (await response.json()) as { readonly detail?: unknown };
  return [response.status, detail];
}

test("a login answers the seven documented keys, in their order", async () => {
  const world = await httpWorld();

  const body = await loggedIn(world);

  expect(Object.keys(body)).toEqual([
    "api_key",
    "key_prefix",
    "user_id",
    "username",
    "aws_arn",
    "expires_at",
    "ttl_hours",
  ]);
  expect(body).toMatchObject({
    key_prefix: String(body.api_key).slice(0, 8),
    user_id: 1,
    username: "developer",
    aws_arn: `${sts}/SSOCloudDevGpuReservation/developer`,
    expires_at: "2026-01-20T20:00:00Z",
    ttl_hours: 2,
  });
  expect(body.api_key).toMatch(/^[A-Za-z0-9_-]{86}$/);
  expect(await tryKey(world, body.api_key)).toEqual([200, undefined]);
});

test("users are numbered from 1 and keep their number and name", async () => {
  const world = await httpWorld();

  const bodies = [await loggedIn(world), await loggedIn(world, second), await loggedIn(world)];

  expect(bodies.map((body) => [body.user_id, body.username])).toEqual([
    [1, "developer"],
    [2, "second"],
    [1, "developer"],
  ]);
});

test("an empty or null session token counts as none", async () => {
  const world = await httpWorld({ callers: [callerNamed("plain", { sessionToken: undefined })] });

  for (const token of ["", null, undefined]) {
    const [status] = await answerTo(world, { ...loginBody(callerNamed("plain")), aws_session_token: token });

    expect(status).toBe(200);
  }
});

test("unusual session names are spelled with dashes, and a second user of a spelling gets a number", async () => {
  const names = ["anna lee", "anna@lee", "anna-lee", "anna-lee"];
  const accounts = ["000000000000", "000000000000", "000000000000", "111111111111"];
  const callers = names.map((name, at) => callerNamed(name, { account: accounts[at] ?? "" }));
  const allowedAccounts = ["000000000000", "111111111111"];
  const world = await httpWorld({ callers, settings: { allowedAccounts } });

  const bodies = [];
  for (const caller of callers) bodies.push(await loggedIn(world, caller));

  expect(bodies.map((body) => body.username)).toEqual(["anna-lee", "anna-lee-2", "anna-lee-3", "anna-lee-4"]);
  expect(await loggedIn(world, callers[1])).toMatchObject({ username: "anna-lee-2", user_id: 2 });
});

test("the eleventh login revokes the oldest key and no other", async () => {
  const world = await httpWorld();
  const keys: unknown[] = [];
  for (let n = 0; n < 11; n++) {
    keys.push((await loggedIn(world)).api_key);
    world.clock.advance(1000);
  }

  await world.deliver();

  const answers = await Promise.all(keys.map((key) => tryKey(world, key)));
  expect(answers[0]).toEqual([401, "API key has been revoked"]);
  expect(answers.slice(1)).toEqual(Array.from({ length: 10 }, () => [200, undefined]));
});

test("a key expires after its hours, independently of its user's other keys", async () => {
  const world = await httpWorld({ settings: { keyTtlHours: 1 } });
  const body = await loggedIn(world);

  world.clock.advance(3_599_999);
  const before = await tryKey(world, body.api_key);
  const later = await loggedIn(world);
  world.clock.advance(1);

  expect(body).toMatchObject({ ttl_hours: 1, expires_at: "2026-01-20T19:00:00Z" });
  expect(before).toEqual([200, undefined]);
  expect(await tryKey(world, body.api_key)).toEqual([401, "API key has expired"]);
  expect(await tryKey(world, later.api_key)).toEqual([200, undefined]);
});

test("a disabled user gets an error and no key", async () => {
  const world = await httpWorld();
  await loggedIn(world);
  const user = world.table.all().find((item) => item.kind === "user");
  if (!user) throw new Error("The login made no user");
  await world.table.put({ ...user, disabled: true } as typeof user);

  const answer = await answerTo(world, loginBody(developer));

  expect(answer).toEqual([403, { detail: "User account is disabled" }]);
  expect(world.table.all().filter((item) => item.kind === "key")).toHaveLength(1);
});

const stranger = callerNamed("stranger");
const refused = [
  [401, "Invalid AWS credentials", loginBody(callerNamed("unknown"))],
  [401, "AWS signature verification failed", loginBody({ ...developer, secretAccessKey: "w".repeat(40) })],
  [401, "AWS authentication failed: ExpiredToken", loginBody(callerNamed("late"))],
  [403, "Access denied. Required role: SSOCloudDevGpuReservation, got: Admin", loginBody(callerNamed("admin"))],
  [403, "Access denied. Required role: SSOCloudDevGpuReservation, got: none", loginBody(callerNamed("user"))],
  [
    403,
    "Access denied. Required role: SSOCloudDevGpuReservation, got: SSOCloudDevGpuReservation2",
    loginBody(callerNamed("near")),
  ],
  [403, "Access denied. AWS account 999999999999 is not allowed", loginBody(stranger)],
] as const;

const callers = [
  callerNamed("late", { expiresAt: 0 }),
  callerNamed("admin", { arn: `${sts}/Admin/admin` }),
  callerNamed("user", { arn: "arn:aws:iam::000000000000:user/user" }),
  callerNamed("near", { arn: `${sts}/SSOCloudDevGpuReservation2/near` }),
  { ...stranger, account: "999999999999", arn: stranger.arn.replace("000000000000", "999999999999") },
];

test.each(refused)("%i %s", async (status, detail, body) => {
  const world = await httpWorld({ callers });

  const answer = await answerTo(world, body);

  expect(answer).toEqual([status, { detail }]);
  expect(world.table.all().filter((item) => item.kind === "user" || item.kind === "key")).toEqual([]);
});

test("an empty list of accounts refuses everyone", async () => {
  const world = await httpWorld({ settings: { allowedAccounts: [] } });

  const answer = await answerTo(world, loginBody(developer));

  expect(answer).toEqual([403, { detail: "Access denied. AWS account 000000000000 is not allowed" }]);
});

/** The memory ports, but for keys, which cannot be written. */
const withoutKeys: NonNullable<HttpWorldOptions["wrap"]> = (ports) => ({
  ...ports,
  table: {
    ...ports.table,
    put: async (item, options) => {
      if (item.pk.startsWith("key#")) throw new Conflict(item.pk);
      return ports.table.put(item, options);
    },
  },
});

test.each([
  ["Failed to verify AWS credentials", { isStsDown: () => true }],
  ["Failed to create API key", { wrap: withoutKeys }],
])("500 %s", async (detail, options) => {
  const world = await httpWorld(options);

  const answer = await answerTo(world, loginBody(developer));

  expect(answer).toEqual([500, { detail }]);
});

test("only the 61st login in a minute from one address is 429, before a call of STS", async () => {
  let input = 0;
  const wrap: HttpWorldOptions["wrap"] = (ports) => ({
    ...ports,
    identity: {
      ...ports.identity,
      callerOfCredentials: async (credentials) => {
        input += 1;
        return ports.identity.callerOfCredentials(credentials);
      },
    },
  });
  const world = await httpWorld({ wrap });
  const body = JSON.stringify({ ...loginBody(developer), aws_secret_access_key: "w".repeat(40) });
  const logIn = (viewer: string | undefined) =>
    world.app.fetch(new Request(`https://berth.dev${path}`, { method: "POST", body }), { viewer });
  for (let n = 0; n < 60; n += 1) expect((await logIn("203.0.113.7")).status).toBe(401);

  const refused = await logIn("203.0.113.7");

  expect(input).toBe(60);
  expect([refused.status, await refused.json()]).toEqual([429, { detail: "Too many requests" }]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await logIn("203.0.113.8")).status).toBe(401);
  expect((await logIn(undefined)).status).toBe(401);
});
