import { expect, test } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { plainJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const registry_auth = { username: "robot", password: "pa55-word" };

async function worldWithRuns() {
  const world = await httpWorld();
  const runs: Run[] = [];
  const { apply } = world.ctx.compute;
  world.ctx.compute.apply = (run) => {
    runs.push(run);
    return apply(run);
  };
  const key = await world.login();
  const submit = (body: object) => world.request("POST", "/v1/jobs/submit", { key, body });
  return { world, key, runs, submit };
}

test("a job's machines get the login of its registry, and no answer shows it", async () => {
  const { world, key, runs, submit } = await worldWithRuns();

  const answer = await submit({ ...plainJob, registry_auth });
  const { job_id } = (await answer.clone().json()) as { job_id: string };
  await world.advance(60_000);
  const shown = await world.request("GET", `/v1/jobs/${job_id}`, { key });

  expect(runs.map(({ registryLogin }) => registryLogin)).toEqual([registry_auth]);
  for (const text of [await answer.text(), await shown.text(), JSON.stringify(world.table.all())])
    expect(text).not.toMatch(/pa55-word/);
});

test("a job without a login has none", async () => {
  const { world, runs, submit } = await worldWithRuns();

  await submit({ ...plainJob, registry_auth: null });
  await world.advance(60_000);

  expect(runs.map(({ registryLogin }) => registryLogin)).toEqual([undefined]);
});

test.each([
  [{ registry_auth: { ...registry_auth, username: "a:b" } }, ["body", "registry_auth", "username"]],
  [{ registry_auth: { ...registry_auth, password: "pa55-word\u0000" } }, ["body", "registry_auth", "password"]],
  [{ registry_auth: { password: "pa55-word" } }, ["body", "registry_auth", "username"]],
  [{ registry_auth: { ...registry_auth, token: "pa55-word" } }, ["body", "registry_auth"]],
  [{ registry_auth: "robot:pa55-word" }, ["body", "registry_auth"]],
  [{ registry_auth, image: undefined }, ["body", "image"]],
])("a bad login is refused without being repeated: %j", async (fields, loc) => {
  const { submit } = await worldWithRuns();

  const answer = await submit({ ...plainJob, ...fields });
  const text = await answer.text();

  expect([answer.status, JSON.parse(text).detail[0].loc]).toEqual([400, loc]);
  expect(text).not.toContain("pa55-word");
});

test("a job that returns to the queue brings the login to its second run", async () => {
  const { world, runs, submit } = await worldWithRuns();

  await submit({ ...plainJob, registry_auth, on_interruption: "requeue" });
  await world.advance(60_000);
  world.compute.evict(runs[0]?.uid ?? "", 1);
  await world.advance(600_000);

  expect(runs.map(({ run, registryLogin }) => [run, registryLogin])).toEqual([
    [1, registry_auth],
    [2, registry_auth],
  ]);
});

test("a repeat of a submit with the client's id may have another password, and is the same job", async () => {
  const { submit } = await worldWithRuns();
  const env_vars = { RESERVATION_ID: "9e41c7d3-5b00-4c1a-8000-0123456789ab" };

  const answers = await Promise.all(
    ["pa55-word", "other"].map((password) =>
      submit({ ...plainJob, env_vars, registry_auth: { username: "u", password } }),
    ),
  );

  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
});
