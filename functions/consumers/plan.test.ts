import { expect, test } from "vitest";
import { consume } from "#http/work.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { callerNamed, httpWorld } from "#tests/worlds/http-world.ts";
import { consumer as plan } from "./plan.ts";
import { consumer as look } from "./reconcile.ts";

const owners = Array.from({ length: 10 }, (_, n) => callerNamed(`owner-${n}`));
const SUBMITS = 500;
const MOST_PLANS = 20;
/** Batch size of the local stack's loops, and of SQS on Lambda. */
const AT_ONCE = 10;
/** How long a batch takes in virtual time: as long as a write and a read of DynamoDB. */
const BATCH_MS = 20;

test("500 submits within a second cause at most 20 plans while both consumers run", async () => {
  const world = await httpWorld({ callers: owners });
  const keys = await Promise.all(owners.map((owner) => world.login(owner)));
  const getPlans = async () => Number((await world.table.get({ pk: "pool#h100", sk: "-" }))?.plans ?? 0);
  const before = await getPlans();
  const begun = world.clock.now();

  const drain = async (consumer: typeof look | typeof plan) => {
    const messages = world.queue.receive(consumer.queue, AT_ONCE);
    const bodies = messages.map((message) => JSON.stringify(message.look));
    const again = await consume<never>(consumer as never, world.ctx as never, bodies);
    messages.forEach(({ id }, at) => {
      if (!again.includes(at)) world.queue.acknowledge(consumer.queue, id);
    });
    return messages.length;
  };
  for (let n = 0; n < SUBMITS; n += 10) {
    await Promise.all([...keys.map((key) => submitJob(world, key, { gpu_count: 1 })), drain(look), drain(plan)]);
    world.clock.advance(BATCH_MS);
  }
  const elapsed = world.clock.now() - begun;
  for (let handled = 1; handled > 0; ) handled = (await drain(plan)) + (await drain(look));

  const jobs = world.table.all().filter((item) => item.kind === "environment");
  expect(elapsed).toBeLessThanOrEqual(1_000);
  expect(jobs).toHaveLength(SUBMITS);
  expect((await getPlans()) - before).toBeLessThanOrEqual(MOST_PLANS);
  expect(jobs.filter((item) => item.phase !== "queued")).toHaveLength(16);
});
