import type { AddressInfo } from "node:net";
import { CreateQueueCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { buildApp } from "fauxqs";
import type { QueueName } from "#core/context.ts";
import type { TestServer } from "./test-server.ts";

/** SQS by fauxqs, in memory, on 127.0.0.1 and a free port. */
export async function startSqs(): Promise<TestServer> {
  const app = buildApp({ logger: false });
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  app.server.keepAliveTimeout = 60_000;
  return { endpoint: `http://127.0.0.1:${port}`, stop: () => app.close() };
}

/** Makes the queues and answers their URLs, which are built here: fauxqs names a host that does not resolve. */
export async function createQueues(client: SQSClient, endpoint: string): Promise<Record<QueueName, string>> {
  // Twice the longest look, so that a message comes back only when its consumer is gone.
  const VisibilityTimeout = "60";
  await client.send(new CreateQueueCommand({ QueueName: "work", Attributes: { VisibilityTimeout } }));
  await client.send(new CreateQueueCommand({ QueueName: "webhooks", Attributes: { VisibilityTimeout } }));
  const Attributes = { VisibilityTimeout, FifoQueue: "true" };
  await client.send(new CreateQueueCommand({ QueueName: "pools.fifo", Attributes }));
  const urlOf = (name: string) => `${endpoint}/000000000000/${name}`;
  return { work: urlOf("work"), pools: urlOf("pools.fifo"), webhooks: urlOf("webhooks") };
}
