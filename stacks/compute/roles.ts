import { type ConsumerEntry, capitalize, type FunctionEntry, type PortName, type QueueName } from "./functions-file.ts";
import { withheldActions } from "./withheld-actions.ts";

export interface RoleKind {
  /** Part of its name in AWS: `EndpointQueueTable`, `ConsumerWork`. */
  readonly name: string;
  readonly kind: FunctionEntry["kind"];
  readonly uses: readonly PortName[];
  readonly queue?: ConsumerEntry["queue"];
}

export interface Statement<Text> {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: readonly string[];
  readonly Resource: readonly Text[];
  readonly Condition?: Condition<Text>;
}

export type Condition<Text> = Readonly<Record<string, Readonly<Record<string, string | readonly string[] | Text>>>>;

/**
 * The ARNs of a deployment. An ARN that ends with a star names many resources, for the reason in its comment. `*`
 * alone is only for Describe calls of EC2, which take no resource, and for network interfaces, whose ids Lambda
 * chooses.
 */
export interface Arns<Text> {
  readonly table: Text;
  readonly tableIndexes: Text;
  readonly queues: Readonly<Record<ConsumerEntry["queue"], Text>>;
  readonly bucket: Text;
  /** All, because blobs are named by content. */
  readonly bucketObjects: Text;
  readonly sealerKey: Text;
  readonly cluster: Text;
  /** All of the cluster: groups are created and deleted outside of Berth. */
  readonly nodeGroups: Text;
  /** All of the stage: each function of a role has its own group. */
  readonly logGroups: Text;
  /** All, because EBS chooses the ids: the deployment's tag is required. */
  readonly volumes: Text;
  /** All snapshots, as for volumes. The tag is required except to restore a lost tag. */
  readonly snapshots: Text;
  /** All, because a volume may be detached from any lost machine. */
  readonly instances: Text;
  /** The key that encrypts volumes. Undefined: the account's default key, whose policy admits the whole account. */
  readonly ebsKey: Text | undefined;
  /** EC2's service name for KMS in this region. */
  readonly ec2Service: Text;
  readonly deployment: string;
  /** Whether functions that use compute run in the network of the cluster. */
  readonly inNetwork: boolean;
}

export function findRole(entry: FunctionEntry): RoleKind {
  const { kind, uses } = entry;
  if (kind === "consumer") return { name: `Consumer${capitalize(entry.queue)}`, kind, uses, queue: entry.queue };
  // The fallback shares the role of the endpoints that use the same ports.
  const shown = kind === "fallback" ? "endpoint" : kind;
  return { name: [shown, ...uses].map(capitalize).join(""), kind: shown, uses };
}

/** Endpoints and the web shell only run commands in existing runs. They change nothing else in a cluster. */
export function onlyRunsCommands(kind: RoleKind["kind"]): boolean {
  return kind === "endpoint" || kind === "socket";
}

/** Returns the group that deploy/kubernetes binds to a role's rights in a cluster. */
export function getClusterGroup({ kind }: RoleKind): string {
  return onlyRunsCommands(kind) ? "berth:commands" : "berth:controller";
}

export function queuesSentTo(entry: FunctionEntry): readonly QueueName[] {
  const { name, kind, uses } = findRole(entry);
  const ownQueueNames: readonly QueueName[] = kind === "socket" ? ["shell"] : [];
  if (!uses.includes("queue") || withheldActions[name]?.includes("sqs:SendMessage")) return ownQueueNames;
  return [...ownQueueNames, ...(sentTo[name] ?? allQueues)];
}

/** Returns the permissions of a role: only the calls of its ports' adapters. */
export function buildStatements<Text>(role: RoleKind, arns: Arns<Text>): Statement<Text>[] {
  const { queue } = role;
  return [
    allow("OwnLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [arns.logGroups]),
    ...(queue ? [receive(arns.queues[queue])] : []),
    ...role.uses
      .flatMap((port) => statementsOfPort[port](arns as Arns<unknown>, role) as Statement<Text>[])
      .flatMap((statement) => withoutWithheld(role, statement)),
  ];
}

function withoutWithheld<Text>({ name }: RoleKind, statement: Statement<Text>): Statement<Text>[] {
  const Action = statement.Action.filter((action) => !withheldActions[name]?.includes(action));
  return Action.length === 0 ? [] : [{ ...statement, Action }];
}

type OfPort = (arns: Arns<unknown>, role: RoleKind) => Statement<unknown>[];

const statementsOfPort: Readonly<Record<PortName, OfPort>> = {
  table: ({ table, tableIndexes }, { name }) => [
    allow("Table", ["GetItem", "BatchGetItem", "PutItem", "DeleteItem", "Query"].map(of("dynamodb")), [table]),
    ...(queryIndexes.includes(name) ? [allow("TableIndexes", ["dynamodb:Query"], [tableIndexes])] : []),
  ],
  queue: ({ queues }, { name }) => [
    allow(
      "Send",
      ["SendMessage", "GetQueueAttributes"].map(of("sqs")),
      (sentTo[name] ?? allQueues).map((queue) => queues[queue]),
    ),
  ],
  blobs: ({ bucket, bucketObjects }, { kind }) => [
    // Endpoints read blobs that reconciles wrote, or sign a URL that reads one.
    allow("Blobs", (kind === "endpoint" ? readsBlobs : changesBlobs).map(of("s3")), [bucketObjects]),
    // S3 answers 403 in place of 404 without this action. Removing all blobs of a disk lists them.
    allow("BlobList", ["s3:ListBucket"], [bucket]),
  ],
  sealer: ({ sealerKey }) => [
    allow("Seal", ["GenerateDataKey", "Decrypt"].map(of("kms")), [sealerKey], {
      StringEquals: { "kms:EncryptionContext:berth": "data-key" },
    }),
  ],
  compute: ({ cluster, inNetwork }, { kind, uses }) => [
    // Lambda creates a function's interfaces with the function's own role (AWSLambdaVPCAccessExecutionRole).
    ...(inNetwork ? [allow("Interfaces", interfaces, ["*"]), interfacesNotByCode(uses)] : []),
    allow("Cluster", ["eks:DescribeCluster"], [cluster]),
    // Only reconciles query machines, to end runs on a lost one.
    ...(kind === "consumer" ? [allow("Machines", ["ec2:DescribeInstances"], ["*"])] : []),
  ],
  machineGroups: ({ cluster, nodeGroups }) => [
    allow("NodeGroups", ["eks:ListNodegroups"], [cluster]),
    allow("NodeGroup", ["eks:DescribeNodegroup"], [nodeGroups]),
    // A node group names its subnets, and only these have zones.
    allow("Zones", [SUBNETS], ["*"]),
    // The launch template of a Capacity Block's group names the block, and only the block has an end. EC2 restricts neither
    // action to a resource, so the role reads the user data of all launch templates, too.
    allow("Blocks", ["DescribeLaunchTemplateVersions", "DescribeCapacityReservations"].map(of("ec2")), ["*"]),
  ],
  volumes: (arns, { kind }) => volumeStatements[kind](arns),
  // No permission: these calls are signed with the caller's own credentials, or not signed.
  identity: () => [],
  githubKeys: () => [],
  fetch: () => [],
};

const allQueues = ["work", "pools", "webhooks"] as const satisfies readonly ConsumerEntry["queue"][];

/**
 * By role: the queues that its functions send to, if not all. The audit refuses sends to others (audit/aws-front.ts).
 */
const sentTo: Readonly<Record<string, readonly ConsumerEntry["queue"][]>> = {
  ConsumerWebhooks: ["webhooks"],
  EndpointBlobsQueueTable: ["work"],
  EndpointIdentityQueueTable: ["work"],
  EndpointQueueTableVolumes: ["work"],
  ScheduleQueueTableVolumes: ["work"],
};

/**
 * Roles with a function that queries an index. The audit refuses index queries of other roles (audit/aws-front.ts).
 */
const queryIndexes: readonly string[] = [
  "ConsumerPools",
  "ConsumerWork",
  "EndpointFetchGithubKeysQueueSealerTable",
  "EndpointFetchQueueSealerTable",
  "EndpointFetchTable",
  "EndpointQueueSealerTable",
  "EndpointQueueTable",
  "EndpointTable",
  "ScheduleComputeMachineGroupsQueueTable",
  "ScheduleComputeQueueTable",
  "ScheduleComputeTableVolumes",
  "ScheduleQueueTable",
  "ScheduleQueueTableVolumes",
];

const interfaces = [
  "CreateNetworkInterface",
  "DescribeNetworkInterfaces",
  "DeleteNetworkInterface",
  "DescribeSubnets",
  "AssignPrivateIpAddresses",
  "UnassignPrivateIpAddresses",
].map(of("ec2"));
const SUBNETS = "ec2:DescribeSubnets";

/**
 * Lambda's own service creates the interfaces, and the code of a function never does. Only a call from a function's
 * code has `lambda:SourceFunctionArn`, so this denies only these calls (Lambda Developer Guide, "Giving Lambda
 * functions access to resources in an Amazon VPC" and "Using source function ARN to control function access
 * behavior"). The code that reads node groups describes subnets.
 */
function interfacesNotByCode(uses: RoleKind["uses"]): Statement<string> {
  return {
    Sid: "InterfacesNotByCode",
    Effect: "Deny",
    Action: interfaces.filter((action) => action !== SUBNETS || !uses.includes("machineGroups")),
    Resource: ["*"],
    Condition: { Null: { "lambda:SourceFunctionArn": "false" } },
  };
}

const readsBlobs = ["GetObject"];
const changesBlobs = ["GetObject", "PutObject", "DeleteObject"];

const findVolumes = allow("FindVolumes", ["DescribeVolumes", "DescribeSnapshots"].map(of("ec2")), ["*"]);

/**
 * Endpoints replace tags when a disk is renamed, schedules list volumes to compare them, and reconciles do the rest.
 */
const volumeStatements: Readonly<Record<RoleKind["kind"], (arns: Arns<unknown>) => Statement<unknown>[]>> = {
  endpoint: retag,
  schedule: () => [findVolumes],
  consumer: changeVolumes,
  socket: () => [],
  fallback: () => [],
};

function changeVolumes(arns: Arns<unknown>): Statement<unknown>[] {
  const { volumes, snapshots, instances, deployment } = arns;
  const made = { StringEquals: { "aws:RequestTag/berth:deployment": deployment } };
  const ours = { StringEquals: { "aws:ResourceTag/berth:deployment": deployment } };
  // This tag can be set only at a snapshot's creation: no role can tag a foreign snapshot and then remove it.
  const madeHere = { ...ours, Null: { "aws:ResourceTag/berth:attempt": "false" } };
  const atMaking = { StringEquals: { "ec2:CreateAction": ["CreateVolume", "CreateSnapshot"] } };
  return [
    findVolumes,
    allow("MakeVolume", ["ec2:CreateVolume"], [volumes], made),
    // The adapter restores a lost tag first (packages/aws/ec2/ebs-volumes.ts).
    allow("OfSnapshot", ["ec2:CreateVolume"], [snapshots], ours),
    allow("MakeSnapshot", ["ec2:CreateSnapshot"], [snapshots], made),
    allow("OfVolume", ["CreateSnapshot", "DeleteVolume", "DetachVolume"].map(of("ec2")), [volumes], ours),
    allow("OffMachine", ["ec2:DetachVolume"], [instances]),
    allow("RemoveSnapshot", ["ec2:DeleteSnapshot"], [snapshots], madeHere),
    allow("TagMade", ["ec2:CreateTags"], [volumes, snapshots], atMaking),
    ...retag(arns),
    ...(arns.ebsKey === undefined ? [] : encrypt(arns.ebsKey, arns.ec2Service)),
  ];
}

/**
 * Lets EBS use a customer managed key for volumes (EBS User Guide, "Requirements for Amazon EBS encryption"). Without
 * these rights EC2 accepts a volume, and fails it a moment later. Only EC2 may use the key for the role, and a grant
 * is only for AWS services (KMS Developer Guide, "kms:GrantIsForAWSResource").
 */
function encrypt(ebsKey: unknown, ec2Service: unknown): Statement<unknown>[] {
  const byEc2 = { StringEquals: { "kms:ViaService": ec2Service } };
  const use = ["DescribeKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "ReEncryptFrom", "ReEncryptTo"];
  return [
    allow("EncryptVolumes", use.map(of("kms")), [ebsKey], byEc2),
    allow("GrantToVolumes", ["kms:CreateGrant"], [ebsKey], { ...byEc2, Bool: { "kms:GrantIsForAWSResource": "true" } }),
  ];
}

/**
 * Tags the backups of a renamed disk with its new name, and restores lost tags. It may claim only a snapshot without
 * a deployment's tag; only the description tells its origin, which no policy reads.
 */
function retag({ snapshots, deployment }: Arns<unknown>): Statement<unknown>[] {
  const written = { "aws:RequestTag/berth:deployment": deployment };
  const keys = {
    "ForAllValues:StringEquals": { "aws:TagKeys": ["berth:deployment", "berth:disk", "berth:record", "Name"] },
  };
  const ours = { StringEquals: { ...written, "aws:ResourceTag/berth:deployment": deployment }, ...keys };
  const lost = { StringEquals: written, Null: { "aws:ResourceTag/berth:deployment": "true" }, ...keys };
  return [
    allow("TagSnapshot", ["ec2:CreateTags"], [snapshots], ours),
    allow("TagLostSnapshot", ["ec2:CreateTags"], [snapshots], lost),
  ];
}

function receive<Text>(queue: Text): Statement<Text> {
  // The actions of AWS's managed policy AWSLambdaSQSQueueExecutionRole.
  const actions = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
  return allow("Receive", actions.map(of("sqs")), [queue]);
}

function allow<Text>(
  Sid: string,
  Action: readonly string[],
  Resource: readonly Text[],
  Condition?: Statement<Text>["Condition"],
): Statement<Text> {
  return { Sid, Effect: "Allow", Action, Resource, ...(Condition && { Condition }) };
}

function of(service: string): (action: string) => string {
  return (action) => `${service}:${action}`;
}
