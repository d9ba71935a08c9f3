import { describe, expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const MIB = 1024 * 1024;

interface Followed {
  readonly logs: string;
  readonly truncated: boolean;
  readonly next: string;
  readonly ended: boolean;
}

/** A running job whose log is read from copies or, on an embedded stack, live. */
async function jobWorld(streams?: true) {
  const world = await httpWorld(streams ? { streams } : {});
  const key = await world.login();
  const id = await submitJob(world, key, { command: "x" });
  const uid = String(world.table.all().find(({ kind }) => kind === "environment")?.uid);
  world.compute.program(uid, { kind: "lives" }, { log: "" });
  await world.advance(6_000);
  const print = async (printed: string | Uint8Array) => {
    world.compute.print(uid, 1, printed);
    if (!streams) await world.advance(2_000);
  };
  const readAfter = async (cursor: string, query = "") => {
    const response = await world.request("GET", `/v1/jobs/${id}/logs?after=${cursor}${query}`, { key });
    return (await response.json()) as Followed;
  };
  return { world, id, key, print, readAfter };
}

describe.each([
  ["from copies", undefined],
  ["as it is printed", true as const],
])("following a log that is read %s", (_, streams) => {
  test("repetitive output of more than a MiB is read once, and the lost part is reported", async () => {
    const { print, readAfter } = await jobWorld(streams);
    const line = "the same line\n";
    let [next, text] = ["0", ""];
    for (let round = 0; round < 5; round++) {
      await print(line.repeat(30_000));
      const answer = await readAfter(next);
      expect(answer.truncated).toBe(false);
      [text, next] = [text + answer.logs, answer.next];
    }
    expect([text.length, next]).toEqual([5 * 30_000 * line.length, String(text.length)]);

    await print(line.repeat(200_000));
    const answer = await readAfter(next);
    const total = (5 * 30_000 + 200_000) * line.length;

    expect(answer.truncated).toBe(true);
    expect(Number(answer.next) - answer.logs.length).toBe(total - MIB);
  });

  test.each(["é€💥", "1%\r2%\r100%\r\n", "\u0000\u001b[31mred\u001b[0m"])(
    "%j is read once and completely, although it is printed byte by byte",
    async (text) => {
      const { print, readAfter } = await jobWorld(streams);
      let [next, result] = ["0", ""];
      for (const byte of new TextEncoder().encode(text)) {
        await print(Uint8Array.of(byte));
        const answer = await readAfter(next);
        [result, next] = [result + answer.logs, answer.next];
      }

      expect(result).toBe(text);
      expect(next).toBe(String(new TextEncoder().encode(text).length));
    },
  );

  test("invalid UTF-8 counts with the bytes that were printed", async () => {
    const { print, readAfter } = await jobWorld(streams);
    await print(Uint8Array.of(0x61, 0xff, 0xfe));
    const first = await readAfter("0");
    await print("b");
    const second = await readAfter(first.next);

    expect([first.logs, first.next, second.logs, second.next]).toEqual(["a\uFFFD\uFFFD", "3", "b", "4"]);
  });

  test("a cursor beyond the end continues at the end", async () => {
    const { print, readAfter } = await jobWorld(streams);
    await print("first\n");
    const beyond = await readAfter("999");
    await print("second\n");

    expect([beyond.logs, beyond.next]).toEqual(["", "6"]);
    expect((await readAfter(beyond.next)).logs).toBe("second\n");
  });
});

test("a log that can be read live is not copied for its readers", async () => {
  const { world, print, readAfter } = await jobWorld(true);
  await print("first\n");
  const isWanted = () => world.table.all().some((item) => item.logWantedUntil !== undefined);

  expect((await readAfter("0", "&wait=20")).logs).toBe("first\n");
  expect((await readAfter("6", "&wait=2")).logs).toBe("");
  expect(isWanted()).toBe(false);
});

test("eight requests of a user may wait at once; the ninth is answered at once, and other users' requests wait", async () => {
  const { world, id, key } = await jobWorld();
  const waiting = new Set<() => void>();
  const stop = world.clock.sleep;
  Object.assign(world.clock, { sleep: () => new Promise<void>((done) => waiting.add(done)) });
  const get = (path: string, by: string) => world.request("GET", path, { key: by });
  const held = Array.from({ length: 8 }, () => get(`/v1/jobs/${id}/logs?after=0&wait=20`, key));
  await expect.poll(() => waiting.size).toBe(8);

  const ninth = get(`/v1/jobs/${id}/logs?after=0&wait=20`, key);
  const answered = await ninth;

  expect([answered.status, await answered.json()]).toMatchObject([200, { logs: "", next: "0", ended: false }]);
  expect(waiting.size).toBe(8);
  Object.assign(world.clock, { sleep: stop });
  for (const done of waiting) done();
  await Promise.all(held);
  const again = await get(`/v1/jobs/${id}/logs?after=0&wait=1`, key);
  expect(again.status).toBe(200);
});
