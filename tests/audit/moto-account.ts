import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateQueueCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { dynamoClient } from "#aws/dynamodb/table.ts";
import { type AwsService, callService } from "#aws/service-call.ts";
import { sqsClient } from "#aws/sqs/queue.ts";
import type { AwsCredentials } from "#core/ports/identity.ts";
import { MOTO_ACCOUNT, startMoto } from "../aws/moto.ts";
import { patient, patientCalls } from "../aws/patient.ts";
import { createQueues } from "../aws/sqs.ts";

type SessionCredentials = AwsCredentials & { readonly sessionToken: string };

/** An AWS account of moto that checks the caller's permission for each call. */
export interface MotoAccount {
  readonly endpoint: string;
  readonly region: string;
  readonly queueUrls: Readonly<Record<"work" | "pools" | "webhooks" | "shell", string>>;
  readonly bucket: string;
  readonly keyId: string;
  readonly cluster: string;
  /** A user with all rights. The clients below use it. */
  readonly operator: AwsCredentials;
  readonly dynamo: DynamoDBClient;
  readonly sqs: SQSClient;
  serviceOf(name: string, path?: string): AwsService;
  /** Allows a role exactly these actions, on all resources. */
  allow(role: string, actions: readonly string[]): Promise<void>;
  /** Returns credentials of the role, from a session that the first call creates. */
  credentialsOf(role: string): Promise<SessionCredentials>;
  /** Returns the reason why IAM refuses a policy, or undefined. */
  refusalOfPolicy(document: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

const region = "us-east-1";
const nobody = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
const everything = getPolicy(["*"]);

/** Returns undefined if moto is not installed. */
export async function openMotoAccount(): Promise<MotoAccount | undefined> {
  const moto = await startMoto();
  if (!moto) return undefined;
  const { endpoint } = moto;
  const getPlace = (name: string, credentials: AwsCredentials, path = ""): AwsService => ({
    name,
    region,
    url: `${endpoint}${path}`,
    credentials: () => credentials,
    patience: patientCalls,
  });
  const operator = await makeOperator(getPlace("iam", nobody));
  const serviceOf = (name: string, path = "") => getPlace(name, operator, path);
  const [bucket, cluster] = ["berth-audit-blobs", "gpus"];
  const address = { endpoint, region, credentials: operator };
  const [dynamo, sqs] = [dynamoClient(address, patient), sqsClient(address, patient)];
  const queueUrls = { ...(await createQueues(sqs, { endpoint, account: MOTO_ACCOUNT })), shell: await shellQueue(sqs) };
  await callService(serviceOf("s3", `/${bucket}`), { name: "CreateBucket", method: "PUT", path: "/" });
  await makeCluster(serviceOf("eks"), cluster);
  const keyId = await makeKey(serviceOf("kms"));
  // Makes moto check each call from here on (moto's documentation, "IAM-like Access Control").
  await fetch(`${endpoint}/moto-api/reset-auth`, { method: "POST", body: "0" });
  let policies = 0;
  const sessions = new Map<string, Promise<SessionCredentials>>();
  const iam = (words: Readonly<Record<string, string>>) => query(serviceOf("iam"), { Version: "2010-05-08", ...words });
  const makeSession = async (role: string) => {
    const trust = { Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" };
    const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
    await iam({ Action: "CreateRole", RoleName: role, AssumeRolePolicyDocument });
    return assume(serviceOf("sts"), role);
  };
  const credentialsOf = (role: string) => {
    const session = sessions.get(role) ?? makeSession(role);
    sessions.set(role, session);
    return session;
  };
  return {
    endpoint,
    region,
    queueUrls,
    bucket,
    keyId,
    cluster,
    operator,
    dynamo,
    sqs,
    serviceOf,
    credentialsOf,
    async allow(role, actions) {
      await credentialsOf(role);
      const PolicyDocument = getPolicy(actions.flatMap(asMotoNames));
      await iam({ Action: "PutRolePolicy", RoleName: role, PolicyName: "ports", PolicyDocument });
    },
    async refusalOfPolicy(document) {
      policies += 1;
      const words = { Action: "CreatePolicy", PolicyName: `policy-${policies}`, PolicyDocument: document };
      return iam(words).then(
        () => undefined,
        (error: unknown) => String(error),
      );
    },
    async stop() {
      for (const client of [dynamo, sqs]) client.destroy();
      await moto.stop();
    },
  };
}

/** moto compares only actions. It would never match a resource or a condition. */
function getPolicy(actions: readonly string[]): string {
  const none = { Effect: "Deny", Action: ["none:None"], Resource: "*" };
  const some = { Effect: "Allow", Action: actions, Resource: "*" };
  return JSON.stringify({ Version: "2012-10-17", Statement: [actions.length === 0 ? none : some] });
}

/**
 * Returns the names by which moto checks an action. moto uses the name of the call, but IAM checks a transaction by the
 * actions of its parts (DynamoDB Developer Guide, "Using IAM with DynamoDB transactions").
 */
function asMotoNames(action: string): string[] {
  return action === "dynamodb:PutItem" ? [action, "dynamodb:TransactWriteItems"] : [action];
}

async function makeOperator(iam: AwsService): Promise<AwsCredentials> {
  const ask = (words: Readonly<Record<string, string>>) =>
    query(iam, { Version: "2010-05-08", UserName: "operator", ...words });
  await ask({ Action: "CreateUser" });
  await ask({ Action: "PutUserPolicy", PolicyName: "all", PolicyDocument: everything });
  const answer = await ask({ Action: "CreateAccessKey" });
  return {
    accessKeyId: getField(answer, "AccessKeyId"),
    secretAccessKey: getField(answer, "SecretAccessKey"),
    sessionToken: undefined,
  };
}

async function assume(sts: AwsService, role: string): Promise<SessionCredentials> {
  const RoleArn = `arn:aws:iam::${MOTO_ACCOUNT}:role/${role}`;
  const words = { Version: "2011-06-15", Action: "AssumeRole", RoleArn, RoleSessionName: "function" };
  const answer = await query(sts, words);
  return {
    accessKeyId: getField(answer, "AccessKeyId"),
    secretAccessKey: getField(answer, "SecretAccessKey"),
    sessionToken: getField(answer, "SessionToken"),
  };
}

async function shellQueue(sqs: SQSClient): Promise<string> {
  const Attributes = { FifoQueue: "true", VisibilityTimeout: "60" };
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName: "shell.fifo", Attributes }));
  return QueueUrl;
}

async function makeCluster(eks: AwsService, name: string): Promise<void> {
  const roleArn = `arn:aws:iam::${MOTO_ACCOUNT}:role/workers`;
  const body = JSON.stringify({ name, roleArn, resourcesVpcConfig: {} });
  await callService(eks, { name: "CreateCluster", method: "POST", path: "/clusters", body });
  // Berth knows no such machine type, so no pool grows.
  const group = { nodegroupName: "system", nodeRole: roleArn, subnets: ["subnet-1"], instanceTypes: ["t3.large"] };
  const path = `/clusters/${name}/node-groups`;
  await callService(eks, { name: "CreateNodegroup", method: "POST", path, body: JSON.stringify(group) });
}

async function makeKey(kms: AwsService): Promise<string> {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.CreateKey" };
  const call = { name: "CreateKey", method: "POST", path: "/", headers, body: "{}" } as const;
  return JSON.parse(Buffer.from(await callService(kms, call)).toString()).KeyMetadata.KeyId;
}

async function query(service: AwsService, words: Readonly<Record<string, string>>): Promise<string> {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const body = new URLSearchParams(words).toString();
  const call = { name: words.Action ?? "", method: "POST", path: "/", headers, body } as const;
  return Buffer.from(await callService(service, call)).toString();
}

function getField(answer: string, name: string): string {
  const [, value] = new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer) ?? [];
  if (value === undefined) throw new Error(`The answer has no ${name}: ${answer.slice(0, 300)}`);
  return value;
}
