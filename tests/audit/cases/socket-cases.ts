import { randomUUID } from "node:crypto";
import { ReceiveMessageCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { connectionKey } from "#core/store/keys.ts";
import type { SqsResult } from "#lambda/sqs.ts";
import type { SocketEntry } from "../../../stacks/compute/functions-file.ts";
import { plainSession } from "../../fixtures/catalog-requests.ts";
import { type AuditPlace, originSecret } from "../audit-place.ts";
import type { Called } from "../function-process.ts";
import type { Case } from "./case.ts";
import { openCaseWorld } from "./case-world.ts";

const connection = "L0SM9cOFvHcCIhw=";

export function socketCases(place: AuditPlace, entry: SocketEntry): Case[] {
  return [
    {
      name: "somebody opens two shells, runs a command in one and leaves",
      entry,
      async arrange() {
        const { world, key, scene } = await openCaseWorld(place);
        const made = await world.request("POST", "/v1/cloudrun/workspaces", { key, body: plainSession });
        const { id } = (await made.json()) as { readonly id: string };
        const path = entry.path.replace("{workspace_id}", id);
        const frames = [first, frame({ type: "command", command: "ls" }), frame({ type: "exit" })];
        const opened = [connectEvent("another", path, key), connectEvent(connection, path, key)];
        return scene([...opened, ...frames, disconnectEvent]);
      },
      problems: (answers) => answers.flatMap(toProblem),
    },
    {
      name: "a frame comes again whose connection has a record that nobody can read",
      entry,
      async arrange() {
        const { items, scene } = await openCaseWorld(place);
        const receiptHandle = await receivedBy(place);
        const broken = { ...connectionKey(connection), writers: [], kind: "connection" };
        const event = getMessage("request", JSON.stringify({ type: "ping" }), { receiptHandle });
        return { ...(await scene([event])), items: [...items(), broken] };
      },
      problems: ([answer]) => {
        const { batchItemFailures } = (answer?.value ?? {}) as Partial<SqsResult>;
        return batchItemFailures?.length === 1 ? [] : [`answered ${JSON.stringify(answer?.value)}`];
      },
      mayLog: ["unreadable record", "frame failed"],
    },
  ];
}

/** Sends a message to the web shell's queue and returns its receipt handle. */
async function receivedBy({ account: { sqs, queueUrls } }: AuditPlace): Promise<string> {
  const fields = { MessageGroupId: "broken", MessageDeduplicationId: randomUUID() };
  await sqs.send(new SendMessageCommand({ QueueUrl: queueUrls.shell, MessageBody: "ping", ...fields }));
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrls.shell }));
  const [{ ReceiptHandle = "" } = {}] = Messages;
  return ReceiptHandle;
}

function toProblem({ value }: Called): string[] {
  const { statusCode, batchItemFailures } = (value ?? {}) as {
    readonly statusCode?: number;
    readonly batchItemFailures?: readonly unknown[];
  };
  return statusCode === 200 || batchItemFailures?.length === 0 ? [] : [`answered ${JSON.stringify(value)}`];
}

const requestContext = { connectionId: connection, domainName: "abc.execute-api.us-east-1.amazonaws.com" };
const disconnectEvent = { requestContext: { ...requestContext, eventType: "DISCONNECT" } };

function connectEvent(connectionId: string, path: string, key: string): unknown {
  return {
    requestContext: { ...requestContext, connectionId, eventType: "CONNECT" },
    headers: { "X-Berth-Origin": originSecret, "X-Berth-Path": path },
    multiValueQueryStringParameters: { api_key: [key] },
  };
}

const first = getMessage(connection, "connected");

function frame(body: object): unknown {
  return getMessage("request", JSON.stringify(body));
}

function getMessage(deduplication: string, body: string, { receiptHandle = "receipt" } = {}): unknown {
  const attributes = {
    MessageGroupId: connection,
    MessageDeduplicationId: deduplication,
    SentTimestamp: "0",
    ApproximateReceiveCount: "1",
  };
  return { Records: [{ messageId: randomUUID(), receiptHandle, body, attributes }] };
}
