import { type Check, different, differentInOrder, functionIn, ofType } from "./checks.ts";
import type { Resource } from "./synthesize.ts";

const apiId = "Socket-id";
const keyArn = "arn:aws:kms:us-east-1:123456789012:key/Sealer";

export const socketChecks = {
  socketRoutes(resources) {
    const [api, ...others] = ofType(resources, "aws:apigatewayv2/api:Api").filter(isSocket);
    if (!api || others.length > 0) return ["there is not one WebSocket API"];
    const integrations = ofType(resources, "aws:apigatewayv2/integration:Integration");
    const routes = ofType(resources, "aws:apigatewayv2/route:Route").filter(({ inputs }) => inputs.apiId === apiId);
    const made = routes.map(({ inputs }) => {
      const found = integrations.find(({ name }) => inputs.target === `integrations/${name}-id`);
      return `${inputs.routeKey} by ${getTarget(found?.inputs.integrationUri)}`;
    });
    const permission = ofType(resources, "aws:lambda/permission:Permission").find(
      ({ name }) => name === "SocketInvoke",
    );
    const { function: invoked, sourceArn } = permission?.inputs ?? {};
    return [
      ...different("routes of the web shell", made, [
        "$connect by SocketShell",
        "$disconnect by SocketShell",
        "$default by ShellQueue",
      ]),
      ...differentInOrder(
        "who may call the web shell",
        [functionIn(invoked), sourceArn],
        ["SocketShell", "arn:aws:execute-api:us-east-1:123456789012:socket/socket/*"],
      ),
    ];
  },

  /** The message group is the connection, which clients cannot choose. */
  socketFrames(resources) {
    const frames = ofType(resources, "aws:apigatewayv2/integration:Integration").find(
      ({ name }) => name === "SocketFrames",
    );
    const { requestTemplates, credentialsArn, passthroughBehavior } = frames?.inputs ?? {};
    const fields = String(requestTemplates?.$default).split("&").toSorted();
    return [
      ...differentInOrder("a frame in the queue", fields, [
        "Action=SendMessage",
        "MessageBody=$util.urlEncode($input.body)",
        "MessageDeduplicationId=$util.urlEncode($context.requestId)",
        "MessageGroupId=$util.urlEncode($context.connectionId)",
      ]),
      ...differentInOrder(
        "who sends it",
        [credentialsArn, passthroughBehavior],
        ["arn:aws:iam::123456789012:role/SocketSender", "NEVER"],
      ),
    ];
  },

  /** A client cannot use up the throughput of the queue or the stage. Unprocessed commands expire soon. */
  socketLimits(resources) {
    const queue = ofType(resources, "aws:sqs/queue:Queue").find(({ name }) => name === "ShellQueue")?.inputs ?? {};
    const [stage] = ofType(resources, "aws:apigatewayv2/stage:Stage").filter(({ inputs }) => inputs.apiId === apiId);
    const { throttlingRateLimit, throttlingBurstLimit } = stage?.inputs.defaultRouteSettings ?? {};
    return [
      ...differentInOrder(
        "the throughput of the queue",
        [queue.deduplicationScope, queue.fifoThroughputLimit],
        ["messageGroup", "perMessageGroupId"],
      ),
      ...(queue.messageRetentionSeconds <= 4 * 3600 ? [] : ["commands are kept longer than their connections"]),
      ...(throttlingRateLimit > 0 && throttlingBurstLimit > 0 ? [] : ["the stage has no limit"]),
    ];
  },

  /** A permission to receive messages, or access to the disks of SQS, does not suffice to read commands. */
  socketSecrecy(resources) {
    const queues = ofType(resources, "aws:sqs/queue:Queue").filter(({ name }) => /^Shell/.test(name));
    return different(
      "keys of the web shell's queues",
      queues.map(({ name, inputs }) => `${name} ${inputs.kmsMasterKeyId}`),
      ["ShellQueue", "ShellDeadQueue"].map((name) => `${name} ${keyArn}`),
    );
  },

  socketRights(resources) {
    const sender = ofType(resources, "aws:iam/role:Role").find(({ name }) => name === "SocketSender");
    const made = ofType(resources, "aws:lambda/function:Function").find(({ name }) => name === "SocketShellFunction");
    const role = ofType(resources, "aws:iam/role:Role").find(({ name }) => made?.inputs.role?.endsWith(`/${name}`));
    const rights = role?.inputs.inlinePolicies?.find(({ name }: Resource["inputs"]) => name === "socket");
    const [stage] = ofType(resources, "aws:apigatewayv2/stage:Stage").filter(({ inputs }) => inputs.apiId === apiId);
    return [
      ...different("what API Gateway may", listLines(sender?.inputs.inlinePolicies?.[0]?.policy), [
        "sqs:SendMessage ShellQueue",
        ...useOfKey,
      ]),
      ...different("what the web shell may besides", listLines(rights?.policy), [
        ...["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "SendMessage"].map(
          (action) => `sqs:${action} ShellQueue`,
        ),
        ...useOfKey,
        "execute-api:ManageConnections arn:aws:execute-api:us-east-1:123456789012:socket/socket/*/@connections/*",
      ]),
      ...differentInOrder("the stage", [stage?.inputs.name, stage?.inputs.autoDeploy], ["socket", true]),
    ];
  },
} as const satisfies Record<string, Check>;

const useOfKey = ["kms:GenerateDataKey", "kms:Decrypt"].map(
  (action) => `${action} ${keyArn} {"StringEquals":{"kms:ViaService":"sqs.us-east-1.amazonaws.com"}}`,
);

function isSocket({ inputs }: Resource): boolean {
  return inputs.protocolType === "WEBSOCKET";
}

function getTarget(uri: unknown): string {
  const [, queue] = /:sqs:path\/\d+\/[^/]*?-?([A-Za-z]+Queue)-[a-z]+\.fifo$/.exec(String(uri)) ?? [];
  return queue ?? functionIn(/functions\/(.*)\/invocations$/.exec(String(uri))?.[1]);
}

function listLines(policy: unknown): string[] {
  const { Statement } = JSON.parse(String(policy ?? '{"Statement":[]}'));
  return Statement.flatMap(({ Action, Resource, Condition }: Resource["inputs"]) =>
    Action.flatMap((action: string) =>
      Resource.map((arn: string) => {
        const subject = `${action} ${/([A-Za-z]+Queue)-[a-z]+\.fifo$/.exec(arn)?.[1] ?? arn}`;
        return Condition ? `${subject} ${JSON.stringify(Condition)}` : subject;
      }),
    ),
  );
}
