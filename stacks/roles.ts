import type { ConsumerEntry, FunctionEntry, PortName } from "./functions-file.ts";
import { capitalize } from "./names.ts";
import { withheldActions } from "./withheld-actions.ts";

/** What a role is for: what its functions are, and which ports they use. A consumer is told by its queue. */
export interface RoleKind {
  /** Part of its name in AWS: `EndpointQueueTable`, `ConsumerWork`. */
  readonly name: string;
  readonly kind: FunctionEntry["kind"];
  readonly uses: readonly PortName[];
  readonly queue?: ConsumerEntry["queue"];
}

/** Of a policy; `Text` is what a name is before it is deployed. */
export interface Statement<Text> {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: readonly string[];
  readonly Resource: readonly Text[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** ARNs of what a deployment has; those in brackets end with a star, for a reason in `wildcards`. */
export interface Arns<Text> {
  readonly table: Text;
  readonly tableIndexes: Text;
  readonly queues: Readonly<Record<ConsumerEntry["queue"], Text>>;
  readonly bucket: Text;
  readonly bucketObjects: Text;
  readonly sealerKey: Text;
  readonly cluster: Text;
  readonly logGroups: Text;
  readonly volumes: Text;
  readonly snapshots: Text;
  readonly instances: Text;
  /** The name of the deployment, as volumes are tagged with it. */
  readonly deployment: string;
  /** Those that use compute run in the network of the cluster. */
  readonly inNetwork: boolean;
}

/** Every resource with a star, and why it has one. */
export const wildcards: Readonly<Record<string, string>> = {
  "*": "EC2 has no resources for Describe calls, and Lambda chooses the interfaces in a network",
  "table/<name>/index/*": "the indexes of the one table",
  "<bucket>/*": "blobs are named by what they hold",
  "log-group:/berth/<stage>/*:*": "functions of one role, each with a group of its own",
  "volume/*": "EBS chooses the ids; the tag of the deployment is asked for",
  "snapshot/*":
    "EBS chooses the ids; the tag of the deployment is asked for, but where a disk is made of one, or one without it gets it back",
  "instance/*": "a volume is taken off whichever lost machine has it",
};

/** The role of a function: one for each pair of what it is and what it uses. */
export function roleOf(entry: FunctionEntry): RoleKind {
  const { kind, uses } = entry;
  if (kind === "consumer") return { name: `Consumer${capitalize(entry.queue)}`, kind, uses, queue: entry.queue };
  // What serves requests without a port is one role, whether it is an endpoint or the fallback.
  const shown = kind === "fallback" ? "endpoint" : kind;
  return { name: [shown, ...uses].map(capitalize).join(""), kind: shown, uses };
}

/** Requests and the web shell run commands in what is there, and change nothing of a cluster. */
export function onlyRunsCommands(kind: RoleKind["kind"]): boolean {
  return kind === "endpoint" || kind === "socket";
}

/** What a role may do: only what the adapters of its ports call for its functions. */
export function statementsOf<Text>(role: RoleKind, arns: Arns<Text>): Statement<Text>[] {
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
  table: ({ table, tableIndexes }) => [
    allow("Table", ["GetItem", "BatchGetItem", "PutItem", "DeleteItem", "Query"].map(of("dynamodb")), [table]),
    allow("TableIndexes", ["dynamodb:Query"], [tableIndexes]),
  ],
  queue: ({ queues }) => [allow("Send", ["SendMessage", "GetQueueAttributes"].map(of("sqs")), Object.values(queues))],
  blobs: ({ bucket, bucketObjects }, { kind }) => [
    // Requests read what looks have written, or sign an address that does.
    allow("Blobs", (kind === "endpoint" ? readsBlobs : changesBlobs).map(of("s3")), [bucketObjects]),
    // Without it S3 answers 403 for what is not there, and a list is needed to remove all of a disk's.
    allow("BlobList", ["s3:ListBucket"], [bucket]),
  ],
  sealer: ({ sealerKey }) => [
    allow("Seal", ["GenerateDataKey", "Decrypt"].map(of("kms")), [sealerKey], {
      StringEquals: { "kms:EncryptionContext:berth": "data-key" },
    }),
  ],
  compute: ({ cluster, inNetwork }, { kind }) => [
    // Lambda makes the interfaces of a function by the function's own role (AWSLambdaVPCAccessExecutionRole).
    ...(inNetwork ? [allow("Interfaces", interfaces, ["*"]), interfacesNotByCode] : []),
    allow("Cluster", ["eks:DescribeCluster"], [cluster]),
    // Looks alone ask what became of a machine: they end what was on a lost one.
    ...(kind === "consumer" ? [allow("Machines", ["ec2:DescribeInstances"], ["*"])] : []),
  ],
  volumes: (arns, { kind }) => volumeStatements[kind](arns),
  // Signed by the caller's own credentials, or by nobody.
  identity: () => [],
  githubKeys: () => [],
  fetch: () => [],
};

const interfaces = [
  "CreateNetworkInterface",
  "DescribeNetworkInterfaces",
  "DeleteNetworkInterface",
  "DescribeSubnets",
  "AssignPrivateIpAddresses",
  "UnassignPrivateIpAddresses",
].map(of("ec2"));

/**
 * Lambda's own service makes the interfaces, and the code of a function never does. Only a call with the credentials of
 * a function's environment names its function (Lambda Developer Guide, "Giving Lambda functions access to resources in
 * an Amazon VPC" and "Using source function ARN to control function access behavior").
 */
const interfacesNotByCode: Statement<string> = {
  Sid: "InterfacesNotByCode",
  Effect: "Deny",
  Action: interfaces,
  Resource: ["*"],
  Condition: { Null: { "lambda:SourceFunctionArn": "false" } },
};

const readsBlobs = ["GetObject"];
const changesBlobs = ["GetObject", "PutObject", "DeleteObject"];

const findVolumes = allow("FindVolumes", ["DescribeVolumes", "DescribeSnapshots"].map(of("ec2")), ["*"]);

/** A request renames a disk, and a schedule compares volumes and snapshots with records. Looks do the rest. */
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
  // Written at its making alone: no role can make somebody else's snapshot one that it may remove.
  const madeHere = { ...ours, Null: { "aws:ResourceTag/berth:attempt": "false" } };
  const atMaking = { StringEquals: { "ec2:CreateAction": ["CreateVolume", "CreateSnapshot"] } };
  return [
    findVolumes,
    allow("MakeVolume", ["ec2:CreateVolume"], [volumes], made),
    // That the snapshot is ours was asked before: whose tags somebody took off is ours all the same.
    allow("OfSnapshot", ["ec2:CreateVolume"], [snapshots]),
    allow("MakeSnapshot", ["ec2:CreateSnapshot"], [snapshots], made),
    allow("OfVolume", ["CreateSnapshot", "DeleteVolume", "DetachVolume"].map(of("ec2")), [volumes], ours),
    allow("OffMachine", ["ec2:DetachVolume"], [instances]),
    allow("RemoveSnapshot", ["ec2:DeleteSnapshot"], [snapshots], madeHere),
    allow("TagMade", ["ec2:CreateTags"], [volumes, snapshots], atMaking),
    ...retag(arns),
  ];
}

/**
 * A renamed disk's backups say its new name, and one that lost its tags gets them back: only a snapshot that is no
 * deployment's becomes ours by that. Which of those was made here its description says, and a policy cannot ask for it.
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
  // As AWS says it (its managed policy AWSLambdaSQSQueueExecutionRole).
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
