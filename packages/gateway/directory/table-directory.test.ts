import { describe, expect, it } from "vitest";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { sshLoginPartition } from "#core/store/keys.ts";
import { directoryConformance } from "#tests/conformance/directory.ts";
import { tableDirectory } from "./table-directory.ts";
import { openTableDirectory } from "./table-directory-fixture.ts";

describe("the directory in the table", () => {
  directoryConformance(() => openTableDirectory());
});

const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.alloc(36, "a")]);
const key = `ssh-ed25519 ${blob.toString("base64")}`;

describe("reads of the table", () => {
  it("are two for a login in five seconds, for any number of checks and notices", async () => {
    const { world, directory, calls, begin } = await openTableDirectory();
    const entered = { run: await begin({ login: "gpu-dev-one", keys: [key] }), login: "gpu-dev-one" };
    calls.length = 0;

    const answers: boolean[] = [];
    for (let second = 1; second <= 60; second += 1) {
      world.clock.advance(1_000);
      const checks = Array.from({ length: 50 }, () => directory.admits(entered, key));
      answers.push(...(await Promise.all(checks)));
      await Promise.all([directory.findNotice(entered), directory.hasNoDisk(entered)]);
    }

    expect(new Set(answers)).toEqual(new Set([true]));
    expect(calls.length).toBe(2 * 10);
    expect(new Set(calls)).toEqual(new Set(["table.query", "table.getMany"]));
  });

  it("are one for any number of tries with an unknown user name at once", async () => {
    const { directory, calls } = await openTableDirectory();

    const found = await Promise.all(
      Array.from({ length: 1_000 }, async () => [
        await directory.find("gpu-dev-nobody"),
        await directory.findEnded("gpu-dev-nobody"),
      ]),
    );

    expect(new Set(found.map((answer) => JSON.stringify(answer)))).toEqual(new Set(["[[],null]"]));
    expect(calls).toEqual(["table.query"]);
  });

  it("are none for names that no environment can have", async () => {
    const { directory, calls } = await openTableDirectory();
    const usual = ["root", "admin", "ubuntu", "ec2-user", "git", "gpu-dev", "inst_", "0123abcd"];
    const names = [
      ...usual,
      "",
      "a b",
      "user@example.com",
      "x#y",
      "ü",
      "root\n",
      `ws-${"x".repeat(256)}`,
      "x".repeat(3_000),
    ];

    const found = await Promise.all(
      names.map(async (name) => [await directory.find(name), await directory.findEnded(name)]),
    );

    expect(found).toEqual(names.map(() => [[], undefined]));
    expect(calls).toEqual([]);
  });

  it("are repeated after a failure", async () => {
    const { world, begin } = await openTableDirectory();
    await begin({ login: "gpu-dev-one", keys: [key] });
    let isAway = true;
    const { table } = world.ctx;
    const query: typeof table.query = (input) => (isAway ? Promise.reject(new Error("away")) : table.query(input));
    const directory = tableDirectory({ ...world.ctx, table: { ...table, query } });

    await expect(directory.find("gpu-dev-one")).rejects.toThrow("away");
    isAway = false;

    expect(await directory.find("gpu-dev-one")).toHaveLength(1);
  });
});

it("cuts off a key within six seconds of the end of its environment", async () => {
  const { world, directory, begin } = await openTableDirectory();
  const run = await begin({ login: "gpu-dev-one", keys: [key] });
  const entered = { run, login: "gpu-dev-one" };
  const before = await directory.admits(entered, key);

  await requestCancel(world.as("user-0"), "job");
  await world.deliver();
  world.clock.advance(5_001);

  expect([before, await directory.admits(entered, key)]).toEqual([true, false]);
});

it("shows the last notice to a terminal that is being cut, even just after a check", async () => {
  const { world, directory, begin } = await openTableDirectory();
  const entered = { run: await begin({ login: "gpu-dev-one", keys: [key] }), login: "gpu-dev-one" };
  await directory.admits(entered, key);

  await requestCancel(world.as("user-0"), "job");
  await world.deliver();
  world.clock.advance(501);

  expect(await directory.findNotice(entered)).toBeUndefined();
  expect(await directory.findNotice(entered, { isReadAnew: true })).toMatchObject({
    kind: "end",
    words: "This environment was cancelled: Cancelled by its owner",
  });
});

it("keeps the keys of an ended environment for a week, and those of a living one without a limit", async () => {
  const { world, directory, begin, end } = await openTableDirectory();
  const run = await begin({ login: "gpu-dev-one", keys: [key] });
  const getEntry = async () => (await world.table.query({ pk: sshLoginPartition("gpu-dev-one") })).items[0];
  const living = await getEntry();

  await end(run);
  const ended = await getEntry();
  const early = await directory.findEnded("gpu-dev-one");
  await world.advance(7 * 24 * 3_600_000 + 1_000);

  expect([living?.ttl, early?.keys]).toEqual([undefined, [key]]);
  expect((Number(ended?.ttl) * 1_000 - world.clock.now()) / 1_000).toBeGreaterThan(-200);
  expect(await directory.findEnded("gpu-dev-one")).toBeUndefined();
});

it("hides an entry that cannot be read, and shows the others of its user name", async () => {
  const { world, directory, begin } = await openTableDirectory();
  await begin({ login: "gpu-dev-one", keys: [key] });
  await world.table.put({ pk: sshLoginPartition("gpu-dev-one"), sk: "broken", writers: ["hand"] });
  await world.table.put({ pk: sshLoginPartition("two"), sk: "x", writers: ["hand"] });

  expect(await directory.find("gpu-dev-one")).toHaveLength(1);
  expect(await directory.find("two")).toEqual([]);
});
