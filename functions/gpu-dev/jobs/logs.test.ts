import { expect, test } from "vitest";
import { submitJob } from "#testing/catalog-requests.ts";
import { httpWorld, second } from "#testing/http-world.ts";

/** A job that runs and has printed this. */
async function logWorld(printed: string) {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { command: "x" });
  const uid = String(world.table.all().find(({ kind }) => kind === "environment")?.uid);
  world.compute.program(uid, { kind: "lives" }, { log: printed });
  const path = `/v1/jobs/${id}/logs`;
  const get = (query = "", headers: Record<string, string> = {}) =>
    world.request("GET", path + query, { key, headers });
  return { world, id, get, path };
}

const hundreds = Array.from({ length: 300 }, (_, n) => `line ${n}\n`);

test("before it starts its log is empty", async () => {
  const { id, get } = await logWorld("a\n");

  const response = await get();

  expect([response.status, await response.text()]).toEqual([
    200,
    JSON.stringify({ job_id: id, logs: "", truncated: false }),
  ]);
});

test("the newest 200 lines are shown unless told otherwise, and whether there was more", async () => {
  const { world, id, get } = await logWorld(hundreds.join(""));
  await world.advance(6_000);

  const plain = await (await get()).json();
  const three = await (await get("?tail=3")).json();
  const all = await (await get("?tail=10000")).json();

  expect(plain).toEqual({ job_id: id, logs: hundreds.slice(-200).join(""), truncated: true });
  expect(three).toEqual({ job_id: id, logs: hundreds.slice(-3).join(""), truncated: true });
  expect(all).toEqual({ job_id: id, logs: hundreds.join(""), truncated: false });
});

test.each([
  ["0", "greater_than_equal"],
  ["-1", "greater_than_equal"],
  ["10001", "less_than_equal"],
  ["x", "int_type"],
  ["", "int_type"],
  ["1.5", "int_type"],
])("a tail of %j is refused", async (tail, type) => {
  const { get } = await logWorld("");

  const response = await get(`?tail=${tail}`);

  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ detail: [{ type, loc: ["query", "tail"] }] });
});

test.each([
  ["text/plain", true],
  ["Text/Plain;q=0.9", true],
  ["text/plain, */*", true],
  ["*/*", false],
  ["text/html", false],
  ["application/json, text/plain, */*", false],
])("with Accept %j it is text alone: %j", async (accept, isText) => {
  const { world, get } = await logWorld("a\nb\n");
  await world.advance(6_000);

  const response = await get("?tail=1", { Accept: accept });

  const type = response.headers.get("content-type");
  expect(type).toBe(isText ? "text/plain; charset=utf-8" : "application/json");
  expect((await response.text()) === "b\n").toBe(isText);
});

test("text that looks like a page is not taken for one", async () => {
  const { world, get } = await logWorld("<script>alert(1)</script>\n");
  await world.advance(6_000);

  const { headers } = await get("", { Accept: "text/plain" });

  expect(headers.get("x-content-type-options")).toBe("nosniff");
});

test("another owner's log is as one that is not there, and so is one of a malformed id", async () => {
  const { world, id, path } = await logWorld("a\n");
  const stranger = await world.login(second);
  const missing = `${id.slice(0, -4)}${id.endsWith("0000") ? "1111" : "0000"}`;

  const theirs = await world.request("GET", path, { key: stranger });
  const none = await world.request("GET", `/v1/jobs/${missing}/logs`, { key: stranger });
  const odd = await world.request("GET", "/v1/jobs/x/logs", { key: stranger });

  expect([theirs.status, none.status, odd.status]).toEqual([404, 404, 404]);
  expect((await theirs.text()).replace(id, missing)).toBe(await none.text());
  expect(await odd.json()).toEqual({ detail: "Job x not found" });
});
