/**
 * Actions that roles.ts grants for a port but no function of the role calls. The role's policy omits them. New code
 * that calls one fails in `npm run audit:policies`: then remove the action here. A new role keeps all actions of its
 * ports until the audit names the unused ones. Actions that Lambda needs on a consumer's queue are not affected
 * (`receive` of roles.ts).
 */
export const withheldActions: Readonly<Record<string, readonly string[]>> = {
  ConsumerPools: ["dynamodb:DeleteItem", "sqs:GetQueueAttributes"],
  ConsumerWebhooks: ["dynamodb:BatchGetItem", "dynamodb:Query", "sqs:GetQueueAttributes"],
  ConsumerWork: ["sqs:GetQueueAttributes"],
  EndpointBlobsQueueTable: ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "sqs:GetQueueAttributes"],
  EndpointBlobsTable: ["dynamodb:DeleteItem"],
  EndpointComputeQueueTable: [
    ...["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:Query"],
    ...["sqs:GetQueueAttributes", "sqs:SendMessage"],
  ],
  EndpointFetchGithubKeysQueueSealerTable: ["sqs:GetQueueAttributes"],
  EndpointFetchQueueSealerTable: ["dynamodb:DeleteItem", "kms:Decrypt", "sqs:GetQueueAttributes"],
  EndpointFetchTable: ["dynamodb:DeleteItem"],
  EndpointGithubKeysQueueTable: ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "sqs:GetQueueAttributes"],
  EndpointIdentityQueueTable: [
    ...["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:Query"],
    ...["sqs:GetQueueAttributes"],
  ],
  EndpointQueueSealerTable: ["sqs:GetQueueAttributes"],
  EndpointQueueTableVolumes: ["dynamodb:DeleteItem", "sqs:GetQueueAttributes"],
  EndpointSealerTable: ["dynamodb:DeleteItem", "kms:GenerateDataKey"],
  EndpointTable: ["dynamodb:DeleteItem"],
  ScheduleComputeMachineGroupsQueueTable: ["sqs:GetQueueAttributes"],
  ScheduleComputeQueueTable: ["sqs:GetQueueAttributes"],
  ScheduleComputeTableVolumes: ["dynamodb:DeleteItem"],
  ScheduleQueueTable: ["dynamodb:BatchGetItem", "dynamodb:DeleteItem"],
  ScheduleQueueTableVolumes: [
    ...["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"],
    ...["ec2:DescribeVolumes", "sqs:GetQueueAttributes"],
  ],
  SocketComputeQueueTable: ["dynamodb:Query", "sqs:GetQueueAttributes", "sqs:SendMessage"],
};
