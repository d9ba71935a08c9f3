import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorCodes } from "#core/problem.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { callerNamed, type HttpWorld, httpWorld, loginBody, type Sent } from "#tests/worlds/http-world.ts";

async function getCode(world: HttpWorld, method: string, path: string, sent: Sent = {}): Promise<string> {
  const response = await world.request(method, path, sent);
  return `${response.status} ${response.headers.get("Berth-Error")}`;
}

test("the page of the error codes lists exactly the codes of problems", () => {
  const page = readFileSync(new URL("../../docs/apis/common.md", import.meta.url), "utf8");
  const section = page.split("## Error codes")[1]?.split("\n## ")[0] ?? "";

  const listed = [...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, code]) => code);

  expect(listed).toEqual([...errorCodes]);
});

test("an answer that is not a problem has no error code", async () => {
  const world = await httpWorld();
  const key = await world.login();

  expect(await getCode(world, "GET", "/v1/jobs", { key })).toBe("200 null");
  expect(await getCode(world, "GET", "/health")).toBe("200 null");
});

test("a key that expired, was revoked or was never issued has a code for each", async () => {
  const world = await httpWorld();
  const [expiring, revoked] = [await world.login(), await world.login()];
  await world.request("DELETE", `/v1/keys/${revoked.slice(0, 8)}`, { key: revoked });

  expect(await getCode(world, "GET", "/v1/jobs", { key: revoked })).toBe("401 key_revoked");
  expect(await getCode(world, "GET", "/v1/jobs", { key: "x".repeat(86) })).toBe("401 key_invalid");
  expect(await getCode(world, "GET", "/v1/jobs")).toBe("401 key_missing");
  await world.advance(48 * 3_600_000);
  expect(await getCode(world, "GET", "/v1/jobs", { key: expiring })).toBe("401 key_expired");
});

test("a key past the end of its rotation chain has the code of an expired key", async () => {
  const world = await httpWorld({ settings: { keyTtlHours: 24, keyChainHours: 1 } });
  const key = await world.login();
  await world.advance(2 * 3_600_000);

  expect(await getCode(world, "POST", "/v1/keys/rotate", { key })).toBe("401 key_expired");
});

test("a login has one code for a forbidden identity and another while STS is down", async () => {
  const stranger = callerNamed("stranger", { arn: "arn:aws:sts::000000000000:assumed-role/Other/stranger" });
  let isDown = false;
  const world = await httpWorld({ callers: [stranger], isStsDown: () => isDown });
  const login = () => getCode(world, "POST", "/v1/auth/aws-login", { body: loginBody(stranger) });

  expect(await login()).toBe("403 key_invalid");
  isDown = true;
  expect(await login()).toBe("500 unavailable");
});

test("a prefix that several ids share is ambiguous, and an unknown id is not found", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const formatId = (end: string) => `aaaabbbb-0000-4000-8000-00000000000${end}`;
  for (const end of ["1", "2"]) await submitJob(world, key, { env_vars: { RESERVATION_ID: formatId(end) } });

  expect(await getCode(world, "GET", "/v1/jobs/aaaabbbb", { key })).toBe("409 ambiguous");
  expect(await getCode(world, "GET", `/v1/jobs/${formatId("3")}`, { key })).toBe("404 not_found");
  expect(await getCode(world, "GET", "/v1/nothing", { key })).toBe("404 not_found");
});

test("an exceeded limit has the code of a limit, with any status", async () => {
  const world = await httpWorld({ settings: { maxWaitingPerUser: 1 } });
  const key = await world.login();
  const id = await submitJob(world, key);
  const body = { image: "busybox", instance_type: "p5.48xlarge" };

  expect(await getCode(world, "POST", "/v1/jobs/submit", { key, body })).toBe("400 limit");
  const more = { key, body: { extension_hours: 72 } };
  await world.request("POST", `/v1/jobs/${id}/extend`, more);
  await world.request("POST", `/v1/jobs/${id}/extend`, more);
  expect(await getCode(world, "POST", `/v1/jobs/${id}/extend`, more)).toBe("400 limit");
  expect(await getCode(world, "POST", `/v1/jobs/${id}/extend`, { key, body: {} })).toBe("400 invalid");
});

test("a wrong state or a deletion mark is a conflict", async () => {
  const world = await httpWorld();
  const key = await world.login();
  await world.request("POST", "/v1/disks", { key, body: { disk_name: "data" } });
  await world.advance(5_000);

  expect(await getCode(world, "POST", "/v1/disks", { key, body: { disk_name: "data" } })).toBe("409 conflict");
  expect(await getCode(world, "DELETE", "/v1/disks/data", { key })).toBe("200 null");
  expect(await getCode(world, "DELETE", "/v1/disks/data", { key })).toBe("410 conflict");
});
