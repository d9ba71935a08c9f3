import type { AddressInfo } from "node:net";
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { buildApp } from "fauxqs";
import type { QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import type { TestServer } from "./test-server.ts";

/** SQS by fauxqs, in memory, on 127.0.0.1 and a free port. */
export async function startSqs(): Promise<TestServer> {
  const app = buildApp({ logger: false });
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  app.server.keepAliveTimeout = 60_000;
  return { endpoint: `http://127.0.0.1:${port}`, stop: () => app.close() };
}

/** Account id of fauxqs. */
const FAUXQS_ACCOUNT = "000000000000";

/** Makes the queues and answers their URLs, which are built here: fauxqs names a host that does not resolve. */
export async function createQueues(
  client: SQSClient,
  {
    endpoint,
    account = FAUXQS_ACCOUNT,
    prefix = "",
  }: { readonly endpoint: string; readonly account?: string; readonly prefix?: string },
): Promise<Record<QueueName, string>> {
  const names = { work: `${prefix}work`, pools: `${prefix}pools.fifo`, webhooks: `${prefix}webhooks` };
  // Twice the longest reconcile, so a message is redelivered only when its consumer is gone.
  const VisibilityTimeout = "60";
  await client.send(new CreateQueueCommand({ QueueName: names.work, Attributes: { VisibilityTimeout } }));
  await client.send(new CreateQueueCommand({ QueueName: names.webhooks, Attributes: { VisibilityTimeout } }));
  const Attributes = { VisibilityTimeout, FifoQueue: "true" };
  await client.send(new CreateQueueCommand({ QueueName: names.pools, Attributes }));
  const formatUrl = (name: string) => `${endpoint}/${account}/${name}`;
  return { work: formatUrl(names.work), pools: formatUrl(names.pools), webhooks: formatUrl(names.webhooks) };
}

/** A FIFO queue may hand out one message of a group at a time, so receiving continues until no message arrives. */
export async function receiveAll(
  client: SQSClient,
  QueueUrl: string,
  { keep = false } = {},
): Promise<ReconcileRequest[]> {
  const messages: ReconcileRequest[] = [];
  for (;;) {
    const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }));
    if (Messages.length === 0) return messages;
    messages.push(...Messages.map(({ Body = "" }) => JSON.parse(Body) as ReconcileRequest));
    if (keep) return messages;
    for (const { ReceiptHandle } of Messages) await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
  }
}
