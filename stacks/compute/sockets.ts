/** The API's only stage, which is part of the URLs of clients and of the Management API. */
export const SOCKET_STAGE = "socket";

/** Limit of concurrent commands: each occupies a function until its end. */
const MOST_COMMANDS = 200;

/**
 * Limit of all clients together: API Gateway has none per connection, and shares one limit with the account's other
 * APIs.
 */
const MOST_FRAMES_A_SECOND = 500;
const MOST_FRAMES_AT_ONCE = 1_000;

/** An SQS request. API Gateway sets group and id, so no client can name another's connection. */
const message = [
  "Action=SendMessage",
  "MessageGroupId=$util.urlEncode($context.connectionId)",
  "MessageDeduplicationId=$util.urlEncode($context.requestId)",
  "MessageBody=$util.urlEncode($input.body)",
].join("&");

export interface SocketApi {
  readonly api: aws.apigatewayv2.Api;
  /** The `https` address of the stage, where messages to connections are posted. */
  readonly url: $util.Output<string>;
}

export interface SocketParts {
  readonly made: sst.aws.Function;
  readonly queue: sst.aws.Queue;
  readonly key: aws.kms.Key;
}

export function makeSocketApi(): SocketApi {
  const api = new aws.apigatewayv2.Api("Socket", {
    protocolType: "WEBSOCKET",
    routeSelectionExpression: "$request.body.type",
  });
  const url = $util.output(api.apiEndpoint).apply((at) => `${at.replace(/^wss:/, "https:")}/${SOCKET_STAGE}`);
  return { api, url };
}

/**
 * Creates the routes of the web shell (docs/architecture/web-shell.md): `$connect` and `$disconnect` to its function,
 * every frame into its queue by API Gateway itself, and the queue to the same function.
 */
export function makeSockets({ api }: SocketApi, { made, queue, key }: SocketParts): void {
  const region = aws.getRegionOutput().name;
  const partition = aws.getPartitionOutput().partition;
  const by = (service: $util.Input<string>) => $util.interpolate`arn:${partition}:apigateway:${region}:${service}`;
  const connections = new aws.apigatewayv2.Integration("SocketConnections", {
    apiId: api.id,
    integrationType: "AWS_PROXY",
    integrationMethod: "POST",
    integrationUri: by($util.interpolate`lambda:path/2015-03-31/functions/${made.arn}/invocations`),
  });
  const sender = getSender(queue, key);
  const account = aws.getCallerIdentityOutput().accountId;
  const frames = new aws.apigatewayv2.Integration("SocketFrames", {
    apiId: api.id,
    integrationType: "AWS",
    integrationMethod: "POST",
    credentialsArn: sender.arn,
    integrationUri: by($util.interpolate`sqs:path/${account}/${queue.nodes.queue.name}`),
    requestParameters: { "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'" },
    passthroughBehavior: "NEVER",
    templateSelectionExpression: "\\$default",
    requestTemplates: { $default: message },
  });
  const target = ({ id }: aws.apigatewayv2.Integration) => $util.interpolate`integrations/${id}`;
  const routes = [
    { name: "SocketConnect", routeKey: "$connect", target: target(connections) },
    { name: "SocketDisconnect", routeKey: "$disconnect", target: target(connections) },
    { name: "SocketDefault", routeKey: "$default", target: target(frames) },
  ].map(({ name, ...route }) => new aws.apigatewayv2.Route(name, { apiId: api.id, ...route }));
  new aws.lambda.Permission("SocketInvoke", {
    action: "lambda:InvokeFunction",
    function: made.name,
    principal: "apigateway.amazonaws.com",
    sourceArn: $util.interpolate`${api.executionArn}/${SOCKET_STAGE}/*`,
  });
  // A deployment is a snapshot of the API; the stage creates one after each change.
  new aws.apigatewayv2.Stage(
    "Socket",
    {
      apiId: api.id,
      name: SOCKET_STAGE,
      autoDeploy: true,
      defaultRouteSettings: { throttlingRateLimit: MOST_FRAMES_A_SECOND, throttlingBurstLimit: MOST_FRAMES_AT_ONCE },
    },
    { dependsOn: routes },
  );
  queue.subscribe(made.arn, {
    batch: { size: 1, partialResponses: true },
    transform: {
      eventSourceMapping: (mapping) => {
        mapping.scalingConfig = { maximumConcurrency: MOST_COMMANDS };
      },
    },
  });
}

/** Returns the permissions besides those of its ports (roles.ts): its queue and its connections. */
export function socketPolicy({ api }: SocketApi, queue: sst.aws.Queue, key: aws.kms.Key): $util.Output<string> {
  const receive = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "SendMessage"];
  return $util.jsonStringify({
    Version: "2012-10-17",
    Statement: [
      { Sid: "Frames", Effect: "Allow", Resource: [queue.arn], Action: receive.map((action) => `sqs:${action}`) },
      getUse(key),
      {
        Sid: "Connections",
        Effect: "Allow",
        Action: ["execute-api:ManageConnections"],
        Resource: [$util.interpolate`${api.executionArn}/${SOCKET_STAGE}/*/@connections/*`],
      },
    ],
  });
}

/**
 * Returns the right to use a queue's key through SQS, which senders and receivers need (SQS Developer Guide, "Key
 * management"). The key opens nothing else for them.
 */
function getUse(key: aws.kms.Key) {
  return {
    Sid: "OpenFrames",
    Effect: "Allow",
    Action: ["kms:GenerateDataKey", "kms:Decrypt"],
    Resource: [key.arn],
    Condition: {
      StringEquals: { "kms:ViaService": $util.interpolate`sqs.${aws.getRegionOutput().name}.amazonaws.com` },
    },
  };
}

function getSender(queue: sst.aws.Queue, key: aws.kms.Key): aws.iam.Role {
  const trust = {
    Effect: "Allow",
    Principal: { Service: "apigateway.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  const send = { Sid: "Send", Effect: "Allow", Action: ["sqs:SendMessage"], Resource: [queue.arn] };
  return new aws.iam.Role("SocketSender", {
    assumeRolePolicy: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
    inlinePolicies: [
      { name: "send", policy: $util.jsonStringify({ Version: "2012-10-17", Statement: [send, getUse(key)] }) },
    ],
  });
}
