import type { AuditedStatement } from "./audited-stage.ts";

const queue = ownIn("sqs", "berth-audit-[A-Z][A-Za-z]+Queue-[a-z]{8}(\\.fifo)?");
const table = ownIn("dynamodb", "table/berth-audit");
const indexes = ownIn("dynamodb", "table/berth-audit/index/\\*");
const key = ownIn("kms", "key/Sealer");
const logs = ownIn("logs", "log-group:/berth/audit/\\*:\\*");
const objects = /^arn:aws:s3:::berth-audit-blobsbucket-[a-z]{8}\/\*$/;
const volumes = ownIn("ec2", "volume/\\*");
const snapshots = /^arn:aws:ec2:us-east-1::snapshot\/\*$/;
const instances = ownIn("ec2", "instance/\\*");
const anything = /^\*$/;

/** Resources that each action may be allowed on. moto does not check resources. */
const scopes: Readonly<Record<string, readonly RegExp[]>> = {
  "dynamodb:BatchGetItem": [table],
  "dynamodb:DeleteItem": [table],
  "dynamodb:GetItem": [table],
  "dynamodb:PutItem": [table],
  "dynamodb:Query": [table, indexes],
  "ec2:CreateSnapshot": [volumes, snapshots],
  "ec2:CreateTags": [volumes, snapshots],
  "ec2:CreateVolume": [volumes, snapshots],
  "ec2:DeleteSnapshot": [snapshots],
  "ec2:DeleteVolume": [volumes],
  "ec2:DescribeCapacityReservations": [anything],
  "ec2:DescribeInstances": [anything],
  "ec2:DescribeLaunchTemplateVersions": [anything],
  "ec2:DescribeSnapshots": [anything],
  "ec2:DescribeVolumes": [anything],
  "ec2:DetachVolume": [volumes, instances],
  "ec2:DescribeSubnets": [anything],
  "eks:DescribeCluster": [ownIn("eks", "cluster/gpus")],
  "eks:DescribeNodegroup": [ownIn("eks", "nodegroup/gpus/\\*/\\*")],
  "eks:ListNodegroups": [ownIn("eks", "cluster/gpus")],
  "execute-api:ManageConnections": [ownIn("execute-api", "socket/socket/\\*/@connections/\\*")],
  "kms:Decrypt": [key],
  "kms:GenerateDataKey": [key],
  "lambda:InvokeFunction": [ownIn("lambda", "function:berth-audit-Schedules[A-Za-z]+Function-[a-z]{8}")],
  "logs:CreateLogStream": [logs],
  "logs:PutLogEvents": [logs],
  "s3:DeleteObject": [objects],
  "s3:GetObject": [objects],
  "s3:ListBucket": [/^arn:aws:s3:::berth-audit-blobsbucket-[a-z]{8}$/],
  "s3:PutObject": [objects],
  "sqs:DeleteMessage": [queue],
  "sqs:ChangeMessageVisibility": [queue],
  "sqs:GetQueueAttributes": [queue],
  "sqs:ReceiveMessage": [queue],
  "sqs:SendMessage": [queue],
};

const keyConditions = [
  '{"StringEquals":{"kms:EncryptionContext:berth":"data-key"}}',
  '{"StringEquals":{"kms:ViaService":"sqs.us-east-1.amazonaws.com"}}',
];

/** Matches an ARN of this account and region. `rest` is a regular expression. */
function ownIn(service: string, rest: string): RegExp {
  return new RegExp(`^arn:aws:${service}:us-east-1:123456789012:${rest}$`);
}

export function tooWide({ Effect, Action, Resource, Condition }: AuditedStatement): string[] {
  if (Effect === "Deny") return [];
  return Action.flatMap((action) => {
    const wide = Resource.filter((arn) => !scopes[action]?.some((form) => form.test(arn)));
    const isFree = action.startsWith("kms:") && !keyConditions.includes(JSON.stringify(Condition));
    return [...wide.map((arn) => `${action} on ${arn}`), ...(isFree ? [`${action} for anything`] : [])];
  });
}
