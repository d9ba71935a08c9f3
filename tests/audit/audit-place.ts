import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { BatchWriteCommand, DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { toAttributes } from "#aws/dynamodb/stored-item.ts";
import { dynamoTable } from "#aws/dynamodb/table.ts";
import { createKms } from "#aws/kms/data-keys.ts";
import { kmsSealer } from "#aws/kms/kms-sealer.ts";
import { s3Blobs } from "#aws/s3/s3-blobs.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Sealer } from "#core/ports/sealer.ts";
import type { Item, Table } from "#core/ports/table.ts";
import { ensureTable } from "../aws/dynamodb.ts";
import { type AwsFront, startAwsFront } from "./aws-front.ts";
import { type KubeServer, startKubeServer } from "./kube-server.ts";
import { type MotoAccount, openMotoAccount } from "./moto-account.ts";

/** An AWS account (moto) and a cluster in which the audited functions run. */
export interface AuditPlace {
  readonly account: MotoAccount;
  readonly front: AwsFront;
  readonly kube: KubeServer;
  readonly sealer: Sealer;
  readonly blobs: Blobs;
  /** Variables of every function, without its table and credentials. */
  readonly settings: Readonly<Record<string, string>>;
  /** Returns a deployment name that was not used before. */
  nameDeployment(): string;
  makeTable(name: string, items: readonly Item[]): Promise<Table>;
  stop(): Promise<void>;
}

export const originSecret = "s".repeat(32);
export const loginRole = "Developer";

/** Returns undefined if moto is not installed. */
export async function openAuditPlace(): Promise<AuditPlace | undefined> {
  const account = await openMotoAccount();
  if (!account) return undefined;
  const [kube, keys] = [await startKubeServer(), await startKeysServer()];
  const front = await startAwsFront(account, kube);
  const documents = DynamoDBDocumentClient.from(account.dynamo, { marshallOptions: { removeUndefinedValues: true } });
  let deployments = 0;
  return {
    account,
    front,
    kube,
    sealer: kmsSealer(createKms(account.serviceOf("kms"), account.keyId)),
    blobs: s3Blobs(account.serviceOf("s3", `/${account.bucket}`)),
    settings: getSettings(account, front.url, keys.url),
    nameDeployment() {
      deployments += 1;
      return `berth-${deployments}`;
    },
    async makeTable(name, items) {
      await ensureTable(account.dynamo, name);
      const puts = await Promise.all(items.map(async (item) => ({ PutRequest: { Item: await toAttributes(item) } })));
      for (let at = 0; at < puts.length; at += 25) {
        await documents.send(new BatchWriteCommand({ RequestItems: { [name]: puts.slice(at, at + 25) } }));
      }
      return dynamoTable({ client: account.dynamo, tableName: name });
    },
    async stop() {
      await Promise.all([kube.close(), front.close(), keys.close(), account.stop()]);
    },
  };
}

function getSettings(account: MotoAccount, url: string, keys: string): Record<string, string> {
  const { queueUrls, region, bucket, keyId, cluster } = account;
  const services = ["DYNAMODB", "SQS", "EC2", "S3", "KMS", "STS", "EKS"];
  // The SQS client sends requests to the host in the queue's URL.
  const queues = Object.entries(queueUrls).map(([name, at]) => [
    `${name.toUpperCase()}_QUEUE_URL`,
    at.replace(account.endpoint, url),
  ]);
  return {
    ...Object.fromEntries(services.map((name) => [`AWS_ENDPOINT_URL_${name}`, url])),
    ...Object.fromEntries(queues),
    SOCKET_API_URL: `${url}/socket`,
    BLOBS_BUCKET: bucket,
    SEALER_KEY_ID: keyId,
    EKS_CLUSTER: cluster,
    AWS_REGION: region,
    LOGIN_SERVER_ID: "berth-local",
    DOMAIN: "preview.localhost",
    ALLOWED_ACCOUNTS: "123456789012",
    ALLOWED_ROLES: loginRole,
    ADMIN_USERS: "operator",
    ORIGIN_SECRETS: originSecret,
    GITHUB_KEYS_URL: `${keys}/<user>.keys`,
  };
}

interface KeysServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a server that publishes an SSH key for every user, in the format of RFC 8709 section 4. */
async function startKeysServer(): Promise<KeysServer> {
  const withLength = (part: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, part.length]), part]);
  const blob = Buffer.concat([Buffer.from("ssh-ed25519"), Buffer.alloc(32, "k")].map(withLength));
  const key = `ssh-ed25519 ${blob.toString("base64")}`;
  const server = createServer((_, response) => void response.end(key));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
