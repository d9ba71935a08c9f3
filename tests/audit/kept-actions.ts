/** Actions that a role keeps although no audit case fails without them, with the reason. */
export interface KeptActions {
  readonly roles: RegExp;
  readonly actions: readonly string[];
  readonly reason: string;
}

const byLambda = /^(Consumer|Endpoint|Schedule|Socket(?!Sender))/;

export const keptActions: readonly KeptActions[] = [
  {
    roles: byLambda,
    actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
    reason: "Lambda writes the log (AWS managed policy AWSLambdaBasicExecutionRole)",
  },
  {
    roles: /^(Consumer|SocketCompute)/,
    actions: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    reason: "Lambda receives the messages (AWS managed policy AWSLambdaSQSQueueExecutionRole)",
  },
  {
    roles: /^Socket/,
    actions: ["kms:GenerateDataKey", "kms:Decrypt"],
    reason: "SQS encrypts and decrypts the messages of the web shell (SQS Developer Guide, Key management)",
  },
  {
    roles: /^SocketSender$/,
    actions: ["sqs:SendMessage"],
    reason: "API Gateway puts frames into the queue",
  },
  {
    roles: /ScheduleRole$/,
    actions: ["lambda:InvokeFunction", "sqs:SendMessage"],
    reason: "EventBridge Scheduler calls the function, or puts the call that it could not make into the queue",
  },
  {
    roles: /^(EndpointBlobs.*|ConsumerWork)$/,
    actions: ["s3:ListBucket"],
    reason:
      "Without it S3 answers 403 for what is not there, which moto does not; looks list to learn a zip's size and to remove by prefix",
  },
  {
    roles: /^EndpointFetchQueueSealerTable$/,
    actions: ["kms:GenerateDataKey"],
    reason: "A start or stop of an instance with a webhookUrl seals the address (core/environments/verbs/start.ts)",
  },
  {
    roles: /^ScheduleComputeMachineGroupsQueueTable$/,
    actions: ["ec2:DescribeLaunchTemplateVersions", "ec2:DescribeCapacityReservations"],
    reason: "The schedule asks for the end of each Capacity Block with a node group, and moto has no Capacity Blocks",
  },
  {
    roles: /^ConsumerWork$/,
    actions: ["ec2:CreateTags"],
    reason: "EC2 asks for it where something is made with tags, which moto does not (EC2 User Guide, tag on creation)",
  },
];

export function reasonToKeep(role: string, action: string): string | undefined {
  return keptActions.find(({ roles, actions }) => roles.test(role) && actions.includes(action))?.reason;
}
