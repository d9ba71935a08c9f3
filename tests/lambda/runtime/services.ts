import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { createKms } from "#aws/kms/data-keys.ts";
import { kmsSealer } from "#aws/kms/kms-sealer.ts";
import { s3Blobs } from "#aws/s3/s3-blobs.ts";
import type { AwsService } from "#aws/service-call.ts";
import { sqsClient, sqsQueue } from "#aws/sqs/queue.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Queue, QueueName } from "#core/ports/queue.ts";
import type { Sealer } from "#core/ports/sealer.ts";
import type { Table } from "#core/ports/table.ts";
import { startSts } from "#local/identity/sts.ts";
import { ensureTable, startDynamoDb } from "../../aws/dynamodb.ts";
import { startEc2 } from "../../aws/ec2.ts";
import { fakeKey } from "../../aws/fake-service.ts";
import { startKms } from "../../aws/kms.ts";
import { patient, patientCalls } from "../../aws/patient.ts";
import { startS3 } from "../../aws/s3.ts";
import { startSqs } from "../../aws/sqs.ts";
import { operator } from "../../fixtures/catalog-requests.ts";
import { REGION } from "../../synthesis/cloud.ts";
import type { Resource } from "../../synthesis/synthesize.ts";
import { developer, second } from "../../worlds/http-world.ts";
import { type Eks, startEks } from "../eks.ts";
import { functionRoles, identityOfRole, keyOfRole } from "../role-keys.ts";
import { RECEIVER_HOST } from "../stage.ts";
import { type Connections, startConnections } from "./connections.ts";
import type { QueueMessage } from "./events.ts";

/** Fake AWS services on loopback, with the resources of a stage under their synthesized names. */
export interface Services {
  readonly variables: ServiceVariables;
  /** Adapters of this process to the same resources. */
  readonly ports: { readonly table: Table; readonly queue: Queue; readonly sealer: Sealer; readonly blobs: Blobs };
  readonly stsEndpoint: string;
  readonly eks: Eks;
  readonly connections: Connections;
  nameOf(queue: EventQueue): string;
  /** Sends a form such as `Action=SendMessage&…` to SQS, as an AWS integration does. */
  sendForm(queue: EventQueue, form: string): Promise<void>;
  /** Receives at most `most` messages. The caller removes those that it has processed. */
  receive(queue: EventQueue, most: number): Promise<QueueMessage[]>;
  remove(queue: EventQueue, messages: readonly QueueMessage[]): Promise<void>;
  stop(): Promise<void>;
}

export interface ServiceVariables {
  /** Variables of every function, for the SDK and Berth's own calls. */
  readonly endpoints: Readonly<Record<string, string>>;
  /** Replacements for synthesized variables, because a queue's URL names its host. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Hosts that only the network of the functions resolves. */
  readonly hosts: Readonly<Record<string, string>>;
}

const queueVariables = {
  work: "WORK_QUEUE_URL",
  pools: "POOLS_QUEUE_URL",
  webhooks: "WEBHOOKS_QUEUE_URL",
  shell: "SHELL_QUEUE_URL",
} as const;

export type EventQueue = QueueName | "shell";

export const queueNames = ["work", "pools", "webhooks"] as const;
export const eventQueues = [...queueNames, "shell"] as const;

function formatPath(url: string): string {
  return new URL(url).pathname;
}

/** Starts empty services for a stage. EKS has no cluster until one is opened. */
export async function startServices(resources: readonly Resource[]): Promise<Services> {
  const variables = variablesIn(resources);
  const { TABLE_NAME = "", SEALER_KEY_ID = "", BLOBS_BUCKET = "", EKS_CLUSTER = "", SOCKET_API_URL = "" } = variables;
  const roles = functionRoles(resources);
  const stsServer = await startSts({ identities: [...identities, ...roles.map(identityOfRole)] });
  const eks = await startEks(resources, EKS_CLUSTER, stsServer.endpoint);
  const connections = await startConnections(formatPath(SOCKET_API_URL));
  const sealing = await startKms(SEALER_KEY_ID);
  const bucket = await startS3(BLOBS_BUCKET);
  const keyed = [eks, connections, sealing, bucket];
  for (const service of keyed) service.knowKeys([fakeKey, ...roles.map(keyOfRole)]);
  const open = await Promise.all([startDynamoDb(), startSqs(), startEc2()]);
  const [dynamoDb, sqs, ec2] = open.map(({ endpoint }) => endpoint) as [string, string, string];
  const [sts, kms, s3] = [stsServer.endpoint, sealing.endpoint, bucket.endpoint];
  const addressAt = (endpoint: string) => ({ endpoint, region: REGION, credentials: fakeKey });
  const serviceAt = (name: string, url: string): AwsService => ({
    name,
    url,
    region: REGION,
    credentials: () => fakeKey,
    patience: patientCalls,
  });
  const records = dynamoClient(addressAt(dynamoDb), patient);
  const messages = sqsClient(addressAt(sqs), patient);
  await ensureTable(records, TABLE_NAME);
  const urls = Object.fromEntries(
    Object.entries(queueVariables).map(([name, variable]) => [name, `${sqs}${formatPath(variables[variable] ?? "")}`]),
  ) as Record<EventQueue, string>;
  for (const url of Object.values(urls)) {
    const QueueName = url.slice(url.lastIndexOf("/") + 1);
    const isFifo = QueueName.endsWith(".fifo");
    await messages.send(new CreateQueueCommand({ QueueName, ...(isFifo && { Attributes: { FifoQueue: "true" } }) }));
  }
  return {
    variables: {
      endpoints: {
        AWS_ENDPOINT_URL_DYNAMODB: dynamoDb,
        AWS_ENDPOINT_URL_SQS: sqs,
        AWS_ENDPOINT_URL_KMS: kms,
        AWS_ENDPOINT_URL_S3: s3,
        AWS_ENDPOINT_URL_EC2: ec2,
        AWS_ENDPOINT_URL_EKS: eks.endpoint,
        AWS_ENDPOINT_URL_STS: sts,
      },
      addresses: {
        ...Object.fromEntries(eventQueues.map((name) => [queueVariables[name], urls[name]])),
        SOCKET_API_URL: connections.url,
        // The control plane starts after the functions, so they ask EKS for its address.
        EKS_ENDPOINT: "",
        EKS_CA: "",
      },
      hosts: { [RECEIVER_HOST]: "127.0.0.1" },
    },
    ports: {
      table: dynamoTable({ client: records, tableName: TABLE_NAME }),
      queue: sqsQueue({ client: messages, urls }),
      sealer: kmsSealer(createKms(serviceAt("kms", kms), SEALER_KEY_ID)),
      blobs: s3Blobs(serviceAt("s3", `${s3}/${BLOBS_BUCKET}`)),
    },
    stsEndpoint: sts,
    eks,
    connections,
    async sendForm(queue, form) {
      const { Action, MessageBody, ...fields } = Object.fromEntries(new URLSearchParams(form));
      if (Action !== "SendMessage") throw new Error(`The fake queue does not support ${Action}`);
      await messages.send(new SendMessageCommand({ QueueUrl: urls[queue], MessageBody, ...fields }));
    },
    nameOf: (queue) => urls[queue].slice(urls[queue].lastIndexOf("/") + 1),
    receive: (queue, most) => receiveFrom(messages, urls[queue], most),
    async remove(queue, handled) {
      for (const { receipt: ReceiptHandle } of handled) {
        await messages.send(new DeleteMessageCommand({ QueueUrl: urls[queue], ReceiptHandle }));
      }
    },
    async stop() {
      records.destroy();
      messages.destroy();
      await Promise.all([stsServer, ...keyed, ...open].map((server) => server.stop()));
    },
  };
}

export function variablesIn(resources: readonly Resource[]): Readonly<Record<string, string>> {
  const made = resources.filter(({ type, read: result }) => type === "aws:lambda/function:Function" && !result);
  return Object.assign({}, ...made.map(({ inputs }) => inputs.environment.variables));
}

const identities = [developer, second, operator].map((caller) => ({
  ...caller,
  sessionToken: caller.sessionToken ?? "",
  session: caller.arn.slice(caller.arn.lastIndexOf("/") + 1),
  userId: `AROATEST:${caller.arn.slice(caller.arn.lastIndexOf("/") + 1)}`,
}));

/** Receives visible messages. They stay hidden for the queue's visibility timeout. */
async function receiveFrom(client: SQSClient, QueueUrl: string, most: number): Promise<QueueMessage[]> {
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: most, MessageSystemAttributeNames: ["All"] }),
  );
  return Messages.map(({ MessageId: id = "", ReceiptHandle: receipt = "", Body: body = "", Attributes = {} }) => ({
    id,
    receipt,
    body,
    attributes: Attributes,
  }));
}
