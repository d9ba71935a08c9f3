import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const job = { image: "ubuntu", instance_type: "c7i.8xlarge" };

test("a submit names ignored fields in a header, and an estimate and a log also in their bodies", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const body = { ...job, start_time: "2026-01-21T00:00:00Z", priority: 3 };
  const id = await submitJob(world, key, { command: "x" });

  const submitted = await world.request("POST", "/v1/jobs/submit", { key, body });
  const estimated = await world.request("POST", "/v1/jobs/estimate", { key, body });
  const log = await world.request("GET", `/v1/jobs/${id}/logs?container=main`, { key });
  const list = await world.request("GET", "/v1/jobs?color=red", { key });

  expect([submitted.status, submitted.headers.get("berth-ignored")]).toEqual([200, "start_time, priority"]);
  expect(await submitted.json()).not.toHaveProperty("ignored");
  expect(await estimated.json()).toMatchObject({ ignored: ["start_time", "priority"] });
  expect(await log.json()).toMatchObject({ job_id: id, ignored: ["container"] });
  expect(list.headers.get("berth-ignored")).toBe("color");
});

test("the answer to a repeated submit names ignored fields, too", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const sent = { key, body: { ...job, start_time: "tomorrow" }, headers: { "Idempotency-Key": "one" } };

  await world.request("POST", "/v1/jobs/submit", sent);
  const again = await world.request("POST", "/v1/jobs/submit", sent);

  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(again.headers.get("berth-ignored")).toBe("start_time");
});

test.each([
  ["follow", "true", "Send `next` of the last answer as `after`, and `wait` to be answered once there is more."],
  ["since", "10m", "Send `next` of the last answer as `after`, and `wait` to be answered once there is more."],
  ["sinceSeconds", "60", "Send `next` of the last answer as `after`, and `wait` to be answered once there is more."],
])("a log requested with %s names the parameter to use instead", async (name, value, text) => {
  const world = await httpWorld();
  const key = await world.login();

  const response = await world.request("GET", `/v1/jobs/abcd/logs?${name}=${value}`, { key });

  expect(response.status).toBe(400);
  const [problem] = ((await response.json()) as { detail: unknown[] }).detail;
  expect(problem).toMatchObject({ loc: ["query", name], msg: `There is no parameter of this name. ${text}` });
});

test.each([
  ["ports", [8080], "Forward a port of the job by SSH, with `-L`."],
  ["schedule", "0 4 * * *", "A job starts as soon as there is room for it; submit it when it is to wait."],
])(
  "a submit with %s is refused with the field to use instead, unless the value is empty",
  async (name, value, text) => {
    const world = await httpWorld();
    const key = await world.login();
    const submit = (body: object) => world.request("POST", "/v1/jobs/submit", { key, body });

    const refused = await submit({ ...job, [name]: value });
    const empty = await submit({ ...job, [name]: null });

    expect(refused.status).toBe(400);
    const [problem] = ((await refused.json()) as { detail: unknown[] }).detail;
    expect(problem).toMatchObject({ loc: ["body", name], msg: `There is no field of this name. ${text}` });
    expect(empty.status).toBe(200);
  },
);
