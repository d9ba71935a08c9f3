import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { plainJob } from "../fixtures/catalog-requests.ts";
import { second } from "../worlds/http-world.ts";
import { UNZIP_MISSING } from "./deployed.ts";
import { type DeployedStage, openStage } from "./deployed-stage.ts";
import { startReceiver } from "./runtime/receiver.ts";
import { LONG_MS } from "./stage.ts";
import { createClient, logIn } from "./stage-client.ts";

let stage: DeployedStage | undefined;

beforeAll(async () => {
  if (UNZIP_MISSING === undefined) stage = await openStage();
}, LONG_MS);

afterAll(() => stage?.stop(), LONG_MS);

test("a key is issued, rotated and revoked", async ({ skip }) => {
  if (!stage) return skip(UNZIP_MISSING);
  const ask = createClient(stage, await logIn(stage, second));

  const rotated = await ask("POST", "/v1/keys/rotate");
  const anew = createClient(stage, rotated.body.api_key);
  const listed = await anew("GET", "/v1/keys");
  const revoked = await anew("DELETE", `/v1/keys/${rotated.body.key_prefix}`);

  expect([rotated.status, listed.status, revoked.status]).toEqual([200, 200, 200]);
  expect(listed.body.keys).toContainEqual(
    expect.objectContaining({ key_prefix: rotated.body.key_prefix, current: true }),
  );
  // This process has not answered before. Another process may cache a valid key for 5 s.
  const { status, body } = await anew("GET", "/v1/cluster/status");
  expect([status, body]).toEqual([401, { detail: "API key has been revoked" }]);
});

test("a disk is created, deleted and undeleted by its requests and reconciles", async ({ skip }) => {
  if (!stage) return skip(UNZIP_MISSING);
  const { deliver } = stage;
  const ask = createClient(stage, await logIn(stage));

  const made = await ask("POST", "/v1/disks", { disk_name: "my-disk" });
  const before = await ask("GET", `/v1/disks/my-disk/operations/${made.body.operation_id}`);
  const messages = await deliver();
  const after = await ask("GET", `/v1/disks/my-disk/operations/${made.body.operation_id}`);

  expect(messages).toContainEqual({ consumer: "consumers/reconcile", messages: expect.any(Number), failed: 0 });
  expect([before.body.status, after.body.status]).toEqual(["pending", "completed"]);
  await ask("DELETE", "/v1/disks/my-disk");
  await deliver();
  expect((await ask("GET", "/v1/disks/my-disk")).body.is_deleted).toBe(true);
  await ask("POST", "/v1/disks/my-disk/undelete");
  await deliver();
  expect((await ask("GET", "/v1/disks/my-disk")).body.is_deleted).toBe(false);
});

test("a job is submitted, planned and cancelled", async ({ skip }) => {
  if (!stage) return skip(UNZIP_MISSING);
  const { deliver } = stage;
  const ask = createClient(stage, await logIn(stage));

  const { body } = await ask("POST", "/v1/jobs/submit", plainJob);
  const plans = await deliver();
  const queued = await ask("GET", `/v1/jobs/${body.job_id}`);
  await ask("POST", `/v1/jobs/${body.job_id}/cancel`);
  const messages = await deliver();
  const cancelled = await ask("GET", `/v1/jobs/${body.job_id}`);

  expect(plans).toContainEqual({ consumer: "consumers/plan", messages: expect.any(Number), failed: 0 });
  expect(messages).toContainEqual({ consumer: "consumers/reconcile", messages: expect.any(Number), failed: 0 });
  expect([queued.body.status, cancelled.body.status]).toEqual(["queued", "cancelled"]);
});

test("the work of a lost message is done after the next sweep", async ({ skip }) => {
  if (!stage) return skip(UNZIP_MISSING);
  const { deliver, runSchedule, services } = stage;
  const ask = createClient(stage, await logIn(stage));
  const { body } = await ask("POST", "/v1/disks", { disk_name: "lost-disk" });
  const operation = `/v1/disks/lost-disk/operations/${body.operation_id}`;
  await services.remove("work", await services.receive("work", 10));
  expect(await deliver()).toEqual([]);

  const swept = await runSchedule("schedules/disk-retention");
  await deliver();

  expect(swept).toEqual({ value: null });
  expect((await ask("GET", operation)).body.status).toBe("completed");
});

test("a receiver gets an event of a job until it accepts it, and again on its owner's request, always signed", async ({
  skip,
}) => {
  if (!stage) return skip(UNZIP_MISSING);
  const { deliver, deployed } = stage;
  const { WEBHOOK_SECRET = "" } = deployed.variablesOf("consumers/deliver");
  const ask = createClient(stage, await logIn(stage));
  const { url, seen, stop } = await startReceiver([503, 204]);
  onTestFinished(stop);

  const { body } = await ask("POST", "/v1/jobs/submit", { ...plainJob, webhook_url: url });
  const delivered = await deliver();
  // Between the attempts, the message is hidden in the queue for a second.
  await expect.poll(async () => [await deliver(), seen.length], { interval: 100 }).toEqual([expect.anything(), 2]);
  const listed = await ask("GET", `/v1/webhooks/deliveries?environment_id=${body.job_id}`);
  const [delivery] = listed.body.deliveries;
  await ask("POST", `/v1/webhooks/deliveries/${delivery.delivery_id}/resend`);
  await deliver();

  expect(delivered).toContainEqual({ consumer: "consumers/deliver", messages: 1, failed: 0 });
  expect(listed.body.deliveries).toMatchObject([{ state: "delivered", attempts: [{ status: 503 }, { status: 204 }] }]);
  expect(seen.map((post) => [post.headers["webhook-id"], JSON.parse(post.body)])).toEqual(
    Array.from({ length: 3 }, () => [
      delivery.delivery_id,
      expect.objectContaining({ job_id: body.job_id, user_id: "developer", status: "queued" }),
    ]),
  );
  for (const { headers, body: sent } of seen) {
    const hmac = (text: string) => createHmac("sha256", WEBHOOK_SECRET).update(text);
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${sent}`;
    expect(headers["x-signature-sha256"]).toBe(`sha256=${hmac(sent).digest("hex")}`);
    expect(headers["webhook-signature"]).toBe(`v1,${hmac(signed).digest("base64")}`);
  }
});

test("a receiver on the function's own machine is refused", async ({ skip }) => {
  if (!stage) return skip(UNZIP_MISSING);
  const ask = createClient(stage, await logIn(stage));

  const { status, body } = await ask("POST", "/v1/jobs/submit", { ...plainJob, webhook_url: "http://127.0.0.1:8080/" });

  expect(status).toBe(400);
  expect(JSON.stringify(body)).toContain("webhook_url must not point to a private address");
});
