import { CreateQueueCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FakeService, fakeKey, startFakeService } from "#tests/aws/fake-service.ts";
import { startSqs } from "#tests/aws/sqs.ts";
import type { TestServer } from "#tests/aws/test-server.ts";
import { type SocketGateway, socketGateway } from "./socket-gateway.ts";
import { sqsClient } from "./sqs/queue.ts";

const before = { ...process.env };
/** Ids of API Gateway contain characters that a path must escape. */
const id = "L0SM9cOFvHcCIhw=";
let sqs: TestServer;
let api: FakeService;
let gateway: SocketGateway;
let QueueUrl: string;

beforeEach(async () => {
  const refuse = (code: string) => ({ status: 403, body: "{}", headers: { "x-amzn-errortype": code } });
  [sqs, api] = await Promise.all([
    startSqs(),
    startFakeService("execute-api", refuse, () => ({ status: 200, body: "" })),
  ]);
  QueueUrl = `${sqs.endpoint}/000000000000/shell.fifo`;
  Object.assign(process.env, {
    SHELL_QUEUE_URL: QueueUrl,
    SOCKET_API_URL: `${api.endpoint}/socket`,
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_SQS: sqs.endpoint,
    AWS_ACCESS_KEY_ID: fakeKey.accessKeyId,
    AWS_SECRET_ACCESS_KEY: fakeKey.secretAccessKey,
    AWS_SESSION_TOKEN: fakeKey.sessionToken,
  });
  gateway = socketGateway();
});

afterEach(async () => {
  process.env = { ...before };
  await Promise.all([sqs.stop(), api.stop()]);
});

test("frames and closed connections are signed calls of the Management API, for any connection id", async () => {
  const sent = await gateway.post(id, '{"type":"pong"}');
  await gateway.close(id);

  expect(sent).toBe(true);
  expect(api.calls.map(({ method, path, body }) => [method, path, Buffer.from(body).toString()])).toEqual([
    ["POST", "/socket/@connections/L0SM9cOFvHcCIhw%3D", '{"type":"pong"}'],
    ["DELETE", "/socket/@connections/L0SM9cOFvHcCIhw%3D", ""],
  ]);
});

test("a gone connection is reported, and any other refusal is an error", async () => {
  const gone = { status: 410, body: "{}", headers: { "x-amzn-errortype": "GoneException" } };
  api.trouble([gone, gone, { status: 403, body: "{}", headers: { "x-amzn-errortype": "ForbiddenException" } }]);

  expect(await gateway.post(id, "{}")).toBe(false);
  await expect(gateway.close(id)).resolves.toBeUndefined();
  await expect(gateway.post(id, "{}")).rejects.toThrow("PostToConnection: ForbiddenException");
});

test("a client that does not read counts as gone", async () => {
  api.trouble([{ status: 413, body: "{}" }]);

  expect(await gateway.post(id, "{}")).toBe(false);
});

test("the first message of a connection is in its group, under its own id", async () => {
  const client = sqsClient();
  await client.send(new CreateQueueCommand({ QueueName: "shell.fifo", Attributes: { FifoQueue: "true" } }));

  await gateway.announce(id);

  const received = await client.send(new ReceiveMessageCommand({ QueueUrl, MessageSystemAttributeNames: ["All"] }));
  client.destroy();
  expect(received.Messages?.map(({ Attributes }) => Attributes)).toMatchObject([
    { MessageGroupId: id, MessageDeduplicationId: id },
  ]);
});

test("a message shown soon returns long before its visibility timeout", async () => {
  const client = sqsClient();
  const Attributes = { FifoQueue: "true", VisibilityTimeout: "43200" };
  await client.send(new CreateQueueCommand({ QueueName: "shell.fifo", Attributes }));
  const receive = async () => {
    const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
    return Messages[0];
  };
  await gateway.announce(id);
  const first = await receive();

  await gateway.showSoon(first?.ReceiptHandle ?? "");

  await expect.poll(receive, { interval: 10 }).toMatchObject({ Body: "connected", MessageId: first?.MessageId });
  client.destroy();
});
