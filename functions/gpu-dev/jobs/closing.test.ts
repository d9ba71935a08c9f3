import { expect, test } from "vitest";
import { planDrain } from "#core/pools/admission/drain-part.ts";
import { smallJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const HOUR = 3_600_000;

test("a job with min_duration_hours starts on machines that close, with their end as its own, and a warning", async () => {
  const world = await httpWorld({ nodes: newNodes({ "cpu-x86": 1 }) });
  const key = await world.login();
  const from = world.clock.now() + 3 * HOUR;
  await planDrain(world.ctx, "cpu-x86", { zone: "zone-a" }, { by: "ada", reason: "New disk", from });
  const submit = async (more: object) => {
    const body = { ...smallJob, duration_hours: 10, ...more };
    return ((await (await world.request("POST", "/v1/jobs/submit", { key, body })).json()) as { job_id: string })
      .job_id;
  };
  const read = async (id: string) => (await world.request("GET", `/v1/jobs/${id}`, { key })).json() as Promise<Shown>;

  const strict = await submit({});
  await world.advance(60_000);
  const waiting = await read(strict);
  await world.request("DELETE", `/v1/jobs/${strict}`, { key });
  const id = await submit({ min_duration_hours: 2 });
  await world.advance(120_000);
  const job = await read(id);

  expect(waiting).toMatchObject({ status: "queued", min_duration_hours: null });
  expect(job).toMatchObject({
    status: "active",
    min_duration_hours: 2,
    warning: expect.stringMatching(/^It got 42\d minutes less than asked, to end before machines close at 2026-/),
  });
  expect(Date.parse(job.expires_at)).toBeLessThan(from);
  expect(job.duration_hours).toBeCloseTo(2.9, 1);
});

interface Shown {
  readonly status: string;
  readonly warning: string | null;
  readonly expires_at: string;
  readonly duration_hours: number;
}
