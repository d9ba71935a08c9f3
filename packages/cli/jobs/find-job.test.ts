import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CliFixture, openCliFixture } from "../cli-fixture.ts";
import { collect } from "../terminal/collect.ts";
import { liveStatuses } from "./find-job.ts";

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=8" });
  await cli.run("login");
});
afterAll(() => cli.close());

let submitted = 0;

/** Submits a job whose id begins with these 8 hexadecimal digits. Returns the id. */
async function submit(name: string, firstDigits: string): Promise<string> {
  submitted += 1;
  const id = `${firstDigits}-0000-4000-8000-${String(submitted).padStart(12, "0")}`;
  const machine = { image: "pytorch/pytorch", instance_type: "c7i.8xlarge", duration_hours: 1 } as const;
  await cli.berth.jobs.submit({ ...machine, name, env_vars: { RESERVATION_ID: id } });
  return id;
}

const listLiveJobs = () => collect(cli.berth.jobs.list({ status: liveStatuses }));
const listLiveNames = async () => (await listLiveJobs()).map(({ name }) => name).toSorted();

/** Returns the answers to an extension and an end of the job. */
const change = (word: string) => Promise.all([cli.run("extend", word, "1h"), cli.run("end", word)]);

describe("the beginning of a name or id", () => {
  let trainer: string;
  beforeEach(async () => {
    for (const { job_id } of await listLiveJobs()) await cli.berth.jobs.cancel(job_id);
    submitted += 1;
    trainer = await submit("trainer", `1a1a${String(submitted).padStart(4, "0")}`);
  });

  test.each([
    ["of 4 characters of a name", () => "trai"],
    ["of 4 characters of an id", () => trainer.slice(0, 4)],
    ["of an id in upper case", () => trainer.slice(0, 12).toUpperCase()],
  ])("%s extends and ends the only job that it means", async (_, getWord) => {
    await submit("solver", "aaaa0000");

    const extended = await cli.run("extend", "--json", getWord(), "1h");
    const ended = await cli.run("end", getWord());

    expect(JSON.parse(extended.stdout)).toMatchObject({ job_id: trainer, duration_hours: 2 });
    expect(ended).toMatchObject({ code: 0, stdout: `Ended trainer (${trainer.slice(0, 8)}).\n` });
    expect(await listLiveNames()).toEqual(["solver"]);
  });

  test.each([
    ["of two names", "trai", "trailer", "aaaa0000"],
    ["of two ids", "1a1a", "solver", "1a1a9999"],
    ["of the name of one job and the id of another", "1a1a", "1a1a-steps", "aaaa0000"],
  ])("%s changes no job, and names both", async (_, word, name, firstDigits) => {
    const other = await submit(name, firstDigits);

    for (const { code, stdout, stderr } of await change(word)) {
      expect([code, stdout]).toEqual([3, ""]);
      expect(stderr).toContain(`'${word}' may be `);
      expect(stderr).toContain(`trainer (${trainer.slice(0, 8)})`);
      expect(stderr).toContain(`${name} (${other.slice(0, 8)})`);
    }
    expect(await listLiveNames()).toEqual([name, "trainer"].toSorted());
  });

  test("of fewer than 4 characters, with a wildcard or in another case changes no job", async () => {
    const words = ["tra", "1a1", "train*", "TRAI", "rainer"];

    const answers = await Promise.all(words.map(change));

    answers.forEach(([extended, ended], index) => {
      const { code, stdout, stderr } = ended;
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toContain(`error: There is no job '${words[index]}'\n`);
      expect(extended).toEqual(ended);
    });
    expect((await cli.berth.jobs.get(trainer)).duration_hours).toBe(1);
    expect(await listLiveNames()).toEqual(["trainer"]);
  });

  test("does not shadow the job with exactly that name", async () => {
    await submit("train", "aaaa0000");

    expect(await cli.run("end", "train")).toMatchObject({ code: 0, stdout: expect.stringContaining("Ended train (") });
    expect(await listLiveNames()).toEqual(["trainer"]);
  });

  test("means the live job if the others of that beginning have ended", async () => {
    const former = await submit("trailer", "aaaa0000");
    await cli.berth.jobs.cancel(former);

    expect(await cli.run("end", "trai")).toMatchObject({ code: 0, stdout: expect.stringContaining("Ended trainer (") });
  });
});
