import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

/** Starts a job that has printed this text. */
async function logWorld(printed: string, outcome: Parameters<HttpWorld["compute"]["program"]>[1] = { kind: "lives" }) {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { command: "x" });
  const uid = String(world.table.all().find(({ kind }) => kind === "environment")?.uid);
  world.compute.program(uid, outcome, { log: printed });
  const path = `/v1/jobs/${id}/logs`;
  const get = (query = "", headers: Record<string, string> = {}) =>
    world.request("GET", path + query, { key, headers });
  const print = (text: string) => world.compute.print(uid, 1, text);
  return { world, key, id, get, path, print };
}

const hundreds = Array.from({ length: 300 }, (_, n) => `line ${n}\n`);

test("the log of a job is empty before it starts", async () => {
  const { id, get } = await logWorld("a\n");

  const response = await get();

  expect([response.status, await response.text()]).toEqual([
    200,
    JSON.stringify({ job_id: id, logs: "", truncated: false, next: "0", ended: false }),
  ]);
});

test("the newest 200 lines are shown by default, with a mark if there were more", async () => {
  const { world, id, get } = await logWorld(hundreds.join(""));
  await world.advance(6_000);

  const plain = await (await get()).json();
  const three = await (await get("?tail=3")).json();
  const all = await (await get("?tail=10000")).json();

  const end = { next: String(hundreds.join("").length), ended: false };
  expect(plain).toEqual({ job_id: id, logs: hundreds.slice(-200).join(""), truncated: true, ...end });
  expect(three).toEqual({ job_id: id, logs: hundreds.slice(-3).join(""), truncated: true, ...end });
  expect(all).toEqual({ job_id: id, logs: hundreds.join(""), truncated: false, ...end });
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
])("with Accept %j the answer is plain text: %j", async (accept, isText) => {
  const { world, get } = await logWorld("a\nb\n");
  await world.advance(6_000);

  const response = await get("?tail=1", { Accept: accept });

  const type = response.headers.get("content-type");
  expect(type).toBe(isText ? "text/plain; charset=utf-8" : "application/json");
  expect((await response.text()) === "b\n").toBe(isText);
});

test("text that looks like HTML is not served as a page", async () => {
  const { world, get } = await logWorld("<script>alert(1)</script>\n");
  await world.advance(6_000);

  const { headers } = await get("", { Accept: "text/plain" });

  expect(headers.get("x-content-type-options")).toBe("nosniff");
});

test("another owner's log and one of a malformed id are answered like a missing one", async () => {
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

interface Followed {
  readonly logs: string;
  readonly truncated: boolean;
  readonly next: string;
  readonly ended: boolean;
}

const MIB = 1024 * 1024;

test("following a log neither misses nor repeats a byte, despite cut characters and progress bars", async () => {
  const { world, get, print } = await logWorld("é€💥\n");
  await world.advance(6_000);
  const printed = ["1%\r", "2%\r", "100%\r\ndone \uFFFD", "\uFFFD", "ä\n", "\u0000\u001b[31m", "no end"];
  let [result, after] = ["", "0"];
  for (const text of [...printed, "", ""]) {
    const answer = (await (await get(`?after=${after}`)).json()) as Followed;
    expect([answer.truncated, answer.ended]).toEqual([false, false]);
    [result, after] = [result + answer.logs, answer.next];
    print(text);
    await world.advance(2_000);
  }

  expect(result).toBe(`é€💥\n${printed.join("")}`);
});

test("output beyond the kept part is followed without a gap, and a cursor that is too old is reported", async () => {
  const line = (n: number) => `line ${String(n).padStart(8, "0")} ${"x".repeat(86)}\n`;
  const lines = (from: number, count: number) => Array.from({ length: count }, (_, n) => line(from + n)).join("");
  const { world, get, print } = await logWorld(lines(0, 5_000));
  await world.advance(6_000);
  let [text, after, count] = ["", "0", 5_000];
  for (let round = 0; round < 8; round++) {
    for (let answer: Followed; ; [text, after] = [text + answer.logs, answer.next]) {
      answer = (await (await get(`?after=${after}`)).json()) as Followed;
      expect(answer.truncated).toBe(false);
      if (answer.logs === "") break;
    }
    print(lines(count, 3_000));
    count += 3_000;
    await world.advance(2_000);
  }

  expect(text).toBe(lines(0, count - 3_000));
  const late = (await (await get("?after=0")).json()) as Followed;
  expect(late.truncated).toBe(true);
  expect(Number(late.next)).toBeGreaterThan(MIB);
  const [first] = /^line \d+/m.exec(late.logs) ?? [];
  expect(lines(0, count)).toContain(`${first} `);
});

test("output that was dropped between two reads is reported as lost, and the rest is read completely", async () => {
  const { world, get, print } = await logWorld("first\n");
  await world.advance(6_000);
  const { next } = (await (await get("?after=0")).json()) as Followed;
  print(`${"y".repeat(3 * MIB)}last\n`);
  await world.advance(2_000);
  let [text, after] = ["", next];
  const lost: boolean[] = [];
  for (let n = 0; n < 3; n++) {
    const answer = (await (await get(`?after=${after}`)).json()) as Followed;
    lost.push(answer.truncated);
    [text, after] = [text + answer.logs, answer.next];
  }

  expect(lost).toEqual([true, false, false]);
  expect(text).toBe(`${"y".repeat(MIB - 5)}last\n`);
});

test("a follower reads a job's last output, and then learns that the log has ended", async () => {
  const { world, get, print } = await logWorld("first\n", { kind: "exits", code: 0, afterMs: 8_000 });
  await world.advance(4_000);
  const first = (await (await get("?after=0")).json()) as Followed;
  print("last");
  await world.advance(60_000);
  const last = (await (await get(`?after=${first.next}`)).json()) as Followed;
  const again = (await (await get(`?after=${last.next}&wait=20`)).json()) as Followed;

  expect([first.logs, first.ended]).toEqual(["first\n", false]);
  expect([last.logs, last.ended, again.logs, again.ended, again.next]).toEqual(["last", true, "", true, last.next]);
});

test("a waiting request is answered with new output, or when its time is over", async () => {
  const { world, get, print } = await logWorld("");
  await world.advance(6_000);
  const waiting = get("?after=0&wait=20").then(async (response) => (await response.json()) as Followed);
  print("hello\n");
  const [answer] = await Promise.all([waiting, world.advance(10_000)]);
  const startedAt = world.clock.now();
  const idle = get(`?after=${answer.next}&wait=5`).then(async (response) => (await response.json()) as Followed);
  await Promise.all([idle, world.advance(10_000)]);

  expect(answer.logs).toBe("hello\n");
  expect([(await idle).logs, (await idle).ended]).toEqual(["", false]);
  expect(world.clock.now()).toBeGreaterThanOrEqual(startedAt + 5_000);
});

test("the log of a job that is cancelled in the queue is empty and has ended", async () => {
  const world = await httpWorld({ nodes: [] });
  const key = await world.login();
  const id = await submitJob(world, key, { command: "x" });
  await world.request("POST", `/v1/jobs/${id}/cancel`, { key });

  const response = await world.request("GET", `/v1/jobs/${id}/logs?after=0&wait=20`, { key });

  expect(await response.json()).toEqual({ job_id: id, logs: "", truncated: false, next: "0", ended: true });
});

test("a download contains the whole log as a file", async () => {
  const { world, id, get } = await logWorld(hundreds.join(""));
  await world.advance(6_000);

  const response = await get("?download=1");

  expect(response.headers.get("content-disposition")).toBe(`attachment; filename="${id}.log"`);
  expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(await response.text()).toBe(hundreds.join(""));
});

test.each(["after=-1", "after=x", "after=1.5", "wait=21", "wait=-1", "download=yes"])("400 for %s", async (query) => {
  const { get } = await logWorld("");

  expect((await get(`?${query}`)).status).toBe(400);
});
