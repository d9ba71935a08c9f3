import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PurgeQueueCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { QueueName } from "#core/ports/queue.ts";
import { patient } from "#tests/aws/patient.ts";
import { createQueues, receiveAll, startSqs } from "#tests/aws/sqs.ts";
import type { TestServer } from "#tests/aws/test-server.ts";
import { queueConformance } from "#tests/conformance/queue.ts";
import { sqsClient, sqsQueue } from "./queue.ts";

let emulator: TestServer;
let client: ReturnType<typeof sqsClient>;
let urls: Record<QueueName, string>;

beforeAll(async () => {
  emulator = await startSqs();
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  client = sqsClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials }, patient);
  urls = await createQueues(client, emulator);
});

afterAll(async () => {
  client.destroy();
  await emulator.stop();
});

describe("the queue on SQS", () => {
  queueConformance(async () => {
    await Promise.all(Object.values(urls).map((QueueUrl) => client.send(new PurgeQueueCommand({ QueueUrl }))));
    return {
      queue: sqsQueue({ client, urls }),
      receive: (queue, options) => receiveAll(client, urls[queue], options),
      now: () => Date.now(),
      pass: (ms) => sleep(ms),
    };
  });
});

it("gives up on a queue that takes a message and does not answer", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const impatient = sqsClient({ endpoint, region: "us-east-1", credentials }, { answerMs: 100 });
  const queue = sqsQueue({
    client: impatient,
    urls: { work: `${endpoint}/1/work`, pools: `${endpoint}/1/pools.fifo`, webhooks: `${endpoint}/1/webhooks` },
  });

  const error = await queue.send("work", { look: "a|-" }).catch((reason: unknown) => reason);

  expect(error).toMatchObject({ name: "TimeoutError", $metadata: { attempts: 3 } });
  impatient.destroy();
  silent.close();
});
