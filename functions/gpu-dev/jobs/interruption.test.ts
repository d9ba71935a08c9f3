import { expect, test } from "vitest";
import { smallJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";
import { toJobEvent } from "../webhooks/schemas.ts";

test("a Spot interruption is in the job's warning, its timeline and its webhook", async () => {
  const world = await httpWorld({ nodes: newNodes({ "cpu-x86": 1 }), bodyOf: toJobEvent });
  const key = await world.login();
  const body = { ...smallJob, webhook_url: "https://hooks.example/jobs" };
  const submitted = await world.request("POST", "/v1/jobs/submit", { key, body });
  const { job_id } = (await submitted.json()) as { job_id: string };
  await world.advance(10_000);

  const notice = { machine: "cpu-x86-1", kind: "spot", at: world.clock.now() } as const;
  await world.queue.send("work", { look: "machine|-", notice });
  await world.advance(1_000);

  const words = "Interruption: EC2 Spot takes its machine back in 2 minutes: cpu-x86-1";
  const response = await world.request("GET", `/v1/jobs/${job_id}`, { key });
  const job = (await response.json()) as { warning: string; timeline: object[] };
  const events = world.fetch.posts.map((post) => JSON.parse(post.body) as object);
  expect(job).toMatchObject({
    status: "active",
    warning: expect.stringMatching(`^${words} \\(as of 2026-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC\\)$`),
  });
  expect(job.timeline.at(-1)).toMatchObject({ status: "active", reason: words });
  expect(events.at(-1)).toMatchObject({ job_id, status: "active", reason: words });
});
