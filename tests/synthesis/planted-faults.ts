import type { Resource } from "./synthesize.ts";

/** The longest name. SST shortens resource names with it. */
export const stage = "feature-branch-12345";

/** Changes a resource. Returns undefined to remove it. */
export type Fault = (resource: Resource) => Resource | undefined;

/** Changes the inputs of resources of a type with such a name. */
export const change = (
  type: string,
  name: RegExp,
  to: (inputs: Resource["inputs"]) => Resource["inputs"] | undefined,
): Fault => {
  return (resource) => {
    if (resource.type !== type || !name.test(resource.name)) return resource;
    const inputs = to(structuredClone(resource.inputs));
    return inputs && { ...resource, inputs };
  };
};
const route = "aws:apigatewayv2/route:Route";
const rule = "aws:cloudwatch/eventRule:EventRule";
const distribution = "aws:cloudfront/distribution:Distribution";
const alarm = "aws:cloudwatch/metricAlarm:MetricAlarm";
const edge = "aws:cloudfront/function:Function";
const lambda = "aws:lambda/function:Function";
const logGroup = "aws:cloudwatch/logGroup:LogGroup";
const permission = "aws:lambda/permission:Permission";
const invokeConfig = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig";
const recursion = "aws:lambda/functionRecursionConfig:FunctionRecursionConfig";
const role = "aws:iam/role:Role";
const queue = "aws:sqs/queue:Queue";
const apiStage = "aws:apigatewayv2/stage:Stage";
const table = "aws:dynamodb/table:Table";
const sealerKey = "aws:kms/key:Key";
const asset = "aws:s3/bucketObjectv2:BucketObjectv2";
const podIdentity = "aws:eks/podIdentityAssociation:PodIdentityAssociation";
const withoutVariable = (name: string) => (inputs: Resource["inputs"]) => {
  delete inputs.environment.variables[name];
  return inputs;
};
const unless = (isFault: boolean, inputs: Resource["inputs"]) => (isFault ? undefined : inputs);
const changeSocketPolicy = (to: (policy: string) => string): Fault =>
  change(role, /^Socket.*Table$/, (inputs) => {
    inputs.inlinePolicies[1].policy = to(inputs.inlinePolicies[1].policy);
    return inputs;
  });
const widen = (inputs: Resource["inputs"], from: string | RegExp, to: string) => {
  inputs.inlinePolicies[0].policy = inputs.inlinePolicies[0].policy.replace(from, to);
  return inputs;
};
const changePattern = (inputs: Resource["inputs"], to: (pattern: Resource["inputs"]) => object) => ({
  ...inputs,
  eventPattern: JSON.stringify(to(JSON.parse(inputs.eventPattern))),
});
const moveTickets = (inputs: Resource["inputs"], to: string) => widen(inputs, '["ticket#*"]', `["ticket#*","${to}"]`);
const getQuery = (arn: string) =>
  JSON.stringify({ Sid: "TableIndexes", Effect: "Allow", Action: ["dynamodb:Query"], Resource: [arn] });

const changeAssets = (to: (behaviour: Resource["inputs"]) => Resource["inputs"]): Fault =>
  change(distribution, /./, (inputs) => ({
    ...inputs,
    orderedCacheBehaviors: inputs.orderedCacheBehaviors.map((each: Resource["inputs"]) =>
      each.pathPattern === "/assets/*" ? to(each) : each,
    ),
  }));

/** Mistakes in stacks/, for a stage without a network, with the check that finds each. */
export const faults: Readonly<Record<string, readonly [check: string, fault: Fault]>> = {
  "commands that take the whole account": [
    "concurrency",
    change(lambda, /^OnmemosSessionsExecuteFunction$/, ({ reservedConcurrentExecutions, ...inputs }) => inputs),
  ],
  "commands that leave requests too little": [
    "concurrency",
    change(lambda, /^OnmemosSessionsExecuteFunction$/, (inputs) => ({ ...inputs, reservedConcurrentExecutions: 500 })),
  ],
  ...Object.fromEntries(
    ["ConsumersReconcile", "ConsumersPlan", "ConsumersDeliver", "SocketShell"].map((name) => [
      `a chain of ${name} that Lambda ends`,
      ["loops", change(recursion, new RegExp(`^${name}Recursion$`), () => undefined)],
    ]),
  ),
  "a chain that Lambda is told to end": [
    "loops",
    change(recursion, /^ConsumersReconcile/, (inputs) => ({ ...inputs, recursiveLoop: "Terminate" })),
  ],
  ...Object.fromEntries(
    ["SchedulesAutoStop", "ConsumersReconcile", "ConsumersPlan"].map((name) => [
      `a flood that stops ${name}`,
      [
        "reservations",
        change(lambda, new RegExp(`^${name}Function$`), ({ reservedConcurrentExecutions, ...inputs }) => inputs),
      ],
    ]),
  ),
  "looks that are throttled": [
    "reservations",
    change(lambda, /^ConsumersReconcileFunction$/, (inputs) => ({ ...inputs, reservedConcurrentExecutions: 10 })),
  ],
  "a console whose bucket anybody reads": [
    "console",
    change("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", /^Console$/, (inputs) => ({
      ...inputs,
      blockPublicPolicy: false,
    })),
  ],
  "a console whose bucket every distribution of AWS reads": [
    "console",
    change("aws:s3/bucketPolicy:BucketPolicy", /^Console$/, (inputs) => ({
      ...inputs,
      policy: inputs.policy.replace(/,"Condition":\{.*?\}\}/, ""),
    })),
  ],
  "a console whose bucket is asked without a signature": [
    "console",
    change("aws:cloudfront/originAccessControl:OriginAccessControl", /./, (inputs) => ({
      ...inputs,
      signingBehavior: "never",
    })),
  ],
  "an origin secret that the console's bucket gets": [
    "console",
    changeAssets((each) => ({
      ...each,
      functionAssociations: [
        { eventType: "viewer-request", functionArn: "arn:aws:cloudfront::123456789012:function/Edge" },
      ],
    })),
  ],
  "cookies and keys that the console's bucket gets": [
    "console",
    changeAssets((each) => ({ ...each, originRequestPolicyId: "b689b0a8-53d0-40ab-baf2-68738e2966ac" })),
  ],
  "an asset that every page load asks for anew": [
    "console",
    change(asset, /^Console-main-.*js$/, (inputs) => ({ ...inputs, cacheControl: "no-store" })),
  ],
  "an asset that a deployment takes from open pages": ["console", (resource) => ({ ...resource, retained: false })],
  "a page of the console that runs any script": [
    "console",
    change(edge, /./, (inputs) => ({ ...inputs, code: inputs.code.replaceAll("script-src 'self'", "script-src *") })),
  ],
  "a page of the console that answers API clients": [
    "console",
    change(edge, /./, (inputs) => ({
      ...inputs,
      code: inputs.code.replace("!/\\btext\\/html\\b/i.test(accept) || ", ""),
    })),
  ],
  "a page of the console before its assets": [
    "edgeFunction",
    (resource) =>
      resource.type === edge ? { ...resource, after: resource.after.filter((each) => !/s3/.test(each)) } : resource,
  ],
  "an API that takes any number of requests": [
    "throttles",
    change(apiStage, /^Api/, ({ defaultRouteSettings, ...inputs }) => inputs),
  ],
  "a call of a schedule that is repeated for a day": [
    "schedules",
    change("aws:scheduler/schedule:Schedule", /^SchedulesCapacityStart$/, ({ target, ...inputs }) => ({
      ...inputs,
      target: { ...target, retryPolicy: { maximumRetryAttempts: 2 } },
    })),
  ],
  "a throttled call that Lambda repeats for hours": [
    "schedules",
    change(invokeConfig, /^SchedulesAutoStop/, ({ maximumEventAgeInSeconds, ...inputs }) => inputs),
  ],
  "a firewall that lets one address flood": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => ({ ...inputs, rules: inputs.rules.slice(0, 1) })),
  ],
  "a flood that the firewall only counts": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => {
      inputs.rules[1].action = { count: {} };
      return inputs;
    }),
  ],
  "notices of any account": [
    "machineNotices",
    change(rule, /^SpotInterruptions$/, (inputs) => changePattern(inputs, ({ account, ...pattern }) => pattern)),
  ],
  "notices of another event": [
    "machineNotices",
    change(rule, /^SpotRebalances$/, (inputs) =>
      changePattern(inputs, (pattern) => ({ ...pattern, "detail-type": ["EC2 Instance Rebalance"] })),
    ),
  ],
  "a notice of the wrong machine": [
    "machineNotices",
    change("aws:cloudwatch/eventTarget:EventTarget", /^SpotInterruptions$/, (inputs) => {
      inputs.inputTransformer.inputPaths.machine = "$.id";
      return inputs;
    }),
  ],
  "notices that the queue refuses": ["machineNotices", change("aws:sqs/queuePolicy:QueuePolicy", /./, () => undefined)],
  "a queue to which every rule may send": [
    "machineNotices",
    change("aws:sqs/queuePolicy:QueuePolicy", /./, (inputs) => ({
      ...inputs,
      policy: inputs.policy.replace(/,"Condition":\{.*?\}\}/, ""),
    })),
  ],
  "a removed DLQ": ["queues", change(queue, /^WorkQueue$/, ({ redrivePolicy, ...inputs }) => inputs)],
  "a queue for nobody": ["queues", change(queue, /^ShellDeadQueue$/, () => undefined)],
  "a pool held back": [
    "queues",
    change(queue, /^PoolsQueue$/, (inputs) => ({ ...inputs, visibilityTimeoutSeconds: 90 })),
  ],
  "a shell held back": [
    "queues",
    change(queue, /^ShellQueue$/, (inputs) => ({ ...inputs, visibilityTimeoutSeconds: 5_400 })),
  ],
  "a command shown again while it runs": [
    "queues",
    change(queue, /^ShellQueue$/, (inputs) => ({ ...inputs, visibilityTimeoutSeconds: 900 })),
  ],
  "a missing route": [
    "routes",
    change(route, /./, (inputs) => unless(inputs.routeKey === "POST /v1/jobs/submit", inputs)),
  ],
  "no route for HEAD": ["routes", change(route, /./, (inputs) => unless(inputs.routeKey === "HEAD /v1/jobs", inputs))],
  "no default route": ["routes", change(route, /./, (inputs) => unless(inputs.routeKey === "$default", inputs))],
  "a wrong index": [
    "table",
    change(table, /./, (inputs) => {
      inputs.globalSecondaryIndexes[0].hashKey = "pk";
      return inputs;
    }),
  ],
  "a table whose partition key and sort key are exchanged": [
    "table",
    change(table, /./, (inputs) => ({ ...inputs, hashKey: inputs.rangeKey, rangeKey: inputs.hashKey })),
  ],
  "a sealer key that keeps its first key material": [
    "sealerKey",
    change(sealerKey, /./, ({ enableKeyRotation, ...inputs }) => inputs),
  ],
  "no TTL": ["table", change(table, /./, ({ ttl, ...inputs }) => inputs)],
  "a cache": [
    "behaviours",
    change(distribution, /./, (inputs) => {
      inputs.orderedCacheBehaviors[0].cachePolicyId = "658327ea-f89d-4fab-a63d-7e88639e58f6";
      return inputs;
    }),
  ],
  "a behaviour without the edge's function": [
    "behaviours",
    change(distribution, /./, (inputs) => {
      inputs.orderedCacheBehaviors[1].functionAssociations = [];
      return inputs;
    }),
  ],
  "another function at the edge": [
    "behaviours",
    change(distribution, /./, (inputs) => {
      inputs.defaultCacheBehavior.functionAssociations[0].functionArn += "2";
      return inputs;
    }),
  ],
  "policies of each other's kind": [
    "behaviours",
    change(distribution, /./, (inputs) => {
      const { cachePolicyId, originRequestPolicyId } = inputs.defaultCacheBehavior;
      Object.assign(inputs.defaultCacheBehavior, {
        cachePolicyId: originRequestPolicyId,
        originRequestPolicyId: cachePolicyId,
      });
      return inputs;
    }),
  ],
  "two function URLs that take each other's requests": [
    "behaviours",
    change(distribution, /./, (inputs) => {
      const [, first, second] = inputs.origins;
      [first.originId, second.originId] = [second.originId, first.originId];
      return inputs;
    }),
  ],
  "an edge that says no secret": [
    "edgeFunction",
    change(edge, /./, (inputs) => ({ ...inputs, code: inputs.code.replace("s".repeat(32), "<origin secret>") })),
  ],
  "an edge that lets through what clients forge": [
    "edgeFunction",
    change(edge, /./, (inputs) => ({ ...inputs, code: inputs.code.replace("delete request", "void request") })),
  ],
  "a secret before a function takes it": [
    "edgeFunction",
    (resource) => (resource.type === edge ? { ...resource, after: resource.after.slice(0, -9) } : resource),
  ],
  "a route by another function": [
    "routes",
    change("aws:apigatewayv2/integration:Integration", /./, (inputs) => ({
      ...inputs,
      integrationUri: inputs.integrationUri.replace("GpuDevJobsGetF", "GpuDevJobsListF"),
    })),
  ],
  "a documented path that goes nowhere": [
    "documentedPaths",
    change(route, /./, (inputs) => unless(inputs.routeKey === "GET /v1/jobs/{job_id}", inputs)),
  ],
  "a route whose function the gateway may not call": [
    "callers",
    change(permission, /./, (inputs) => unless(/GpuDevJobsSubmitFunction/.test(inputs.function), inputs)),
  ],
  "a gateway of another API": [
    "callers",
    change(permission, /./, (inputs) => ({ ...inputs, sourceArn: inputs.sourceArn?.replace(":api/", ":*/") })),
  ],
  "a function that every account of AWS may call": [
    "callers",
    change(permission, /^OnmemosSessionsExecuteInvoke/, ({ invokedViaFunctionUrl, ...inputs }) => inputs),
  ],
  "a function URL that nobody may call": [
    "callers",
    change(permission, /^OnmemosWorkspacesRunsh.*UrlAccess$/, () => undefined),
  ],
  "an action with a star": [
    "roles",
    change(role, /^EndpointTable$/, (inputs) => widen(inputs, "dynamodb:GetItem", "dynamodb:*")),
  ],
  "another function's role": [
    "rolesOfFunctions",
    change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => ({ ...inputs, role: inputs.role.replace("Sealer", "") })),
  ],
  "a function that uses nothing with the role of one that uses queue and table": [
    "rolesOfFunctions",
    change(lambda, /^SharedLiveFunction$/, (inputs) => ({ ...inputs, role: `${inputs.role}QueueTable` })),
  ],
  "a consumer of another queue": [
    "rolesOfFunctions",
    change(lambda, /^ConsumersDeliverFunction$/, (inputs) => ({
      ...inputs,
      role: inputs.role.replace("Webhooks", "Work"),
    })),
  ],
  "a log-in that sends to a queue it has nothing for": [
    "scopes",
    change(role, /^EndpointIdentityQueueTable$/, (inputs) =>
      widen(inputs, /"(arn:[^"]*)WorkQueue-([^"]*)"/, '"$1WorkQueue-$2","$1WebhooksQueue-$2"'),
    ),
  ],
  "a request that may not tell the planner": [
    "scopes",
    change(role, /^EndpointQueueTable$/, (inputs) => widen(inputs, /,"[^"]*PoolsQueue-[^"]*"/, "")),
  ],
  "a role that sends to a dead-letter queue": [
    "scopes",
    change(role, /^EndpointQueueTable$/, (inputs) => widen(inputs, "PoolsQueue-", "PoolsDeadQueue-")),
  ],
  "a consumer that receives from two queues": [
    "scopes",
    change(role, /^ConsumerWebhooks$/, (inputs) =>
      widen(inputs, /"(arn:[^"]*)WebhooksQueue-([^"]*)"/, '"$1WebhooksQueue-$2","$1WorkQueue-$2"'),
    ),
  ],
  "a role for the table of another stage": [
    "scopes",
    change(role, /^EndpointTable$/, (inputs) => widen(inputs, `table/berth-${stage}"`, 'table/berth-production"')),
  ],
  "a role for one more table": [
    "scopes",
    change(role, /^EndpointTable$/, (inputs) =>
      widen(inputs, /"([^"]*table\/)(berth-[a-z0-9-]+)"/, '"$1$2","$1berth-production"'),
    ),
  ],
  "a role for the indexes of another table": [
    "scopes",
    change(role, /^EndpointTable$/, (inputs) =>
      widen(inputs, `table/berth-${stage}/index/*`, "table/berth-production/index/*"),
    ),
  ],
  "a role without the indexes that one of its functions queries": [
    "scopes",
    change(role, /^EndpointTable$/, (inputs) => widen(inputs, /,\{"Sid":"TableIndexes"[^}]*\}/, "")),
  ],
  "a role for indexes that none of its functions queries": [
    "scopes",
    change(role, /^EndpointSealerTable$/, (inputs) =>
      widen(inputs, /("Resource":\["([^"]*:table\/[^"]*)"\]\})/, `$1,${getQuery("$2/index/*")}`),
    ),
  ],
  "a log that may not be written": [
    "logs",
    change(role, /^EndpointTable$/, (inputs) => widen(inputs, "log-group:/berth", "log-group:/aws/lambda/berth")),
  ],
  "a log of another name": ["logs", change(logGroup, /^SharedLive/, (inputs) => ({ ...inputs, name: "/berth/x" }))],
  "a role for any table": [
    "roles",
    change(role, /^EndpointTable$/, (inputs) => widen(inputs, `table/berth-${stage}/index/*`, "table/*")),
  ],
  "the account trusted": [
    "roles",
    change(role, /^EndpointTable$/, (inputs) => ({
      ...inputs,
      assumeRolePolicy: inputs.assumeRolePolicy.replace(/"Service":"[^"]*"/, '"AWS":"arn:aws:iam::123456789012:root"'),
    })),
  ],
  "a table without a name": [
    "environments",
    change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => {
      delete inputs.environment.variables.TABLE_NAME;
      return inputs;
    }),
  ],
  "a setting that does not reach the function that reads it": [
    "environments",
    change(lambda, /^GpuDevAuthAwsLoginFunction$/, (inputs) => {
      delete inputs.environment.variables.ALLOWED_ROLES;
      inputs.environment.variables.SETTINGS = inputs.environment.variables.SETTINGS.replace("ALLOWED_ROLES,", "");
      return inputs;
    }),
  ],
  "a setting in a function that never reads it": [
    "environments",
    change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => {
      inputs.environment.variables.ALLOWED_ROLES = "Dev";
      return inputs;
    }),
  ],
  "a function that has to ask EKS where the cluster is": [
    "clusterAddress",
    change(lambda, /^ConsumersReconcileFunction$/, withoutVariable("EKS_CA")),
  ],
  "a function that trusts another cluster": [
    "clusterAddress",
    change(lambda, /^SchedulesWatchFunction$/, (inputs) => {
      inputs.environment.variables.EKS_CA = "b3RoZXI=";
      return inputs;
    }),
  ],
  "a secret where nobody uses it": [
    "environments",
    change(lambda, /^SharedLiveFunction$/, (inputs) => {
      inputs.environment.variables.WEBHOOK_SECRET = "secret";
      return inputs;
    }),
  ],
  "pages of other origins": [
    "urls",
    change("aws:lambda/functionUrl:FunctionUrl", /Runsh/, (inputs) => ({ ...inputs, cors: { allowOrigins: ["*"] } })),
  ],
  "whole batches again": [
    "consumers",
    change(
      "aws:lambda/eventSourceMapping:EventSourceMapping",
      /^Work/,
      ({ functionResponseTypes, ...inputs }) => inputs,
    ),
  ],
  "a hundred plans at once": [
    "consumers",
    change("aws:lambda/eventSourceMapping:EventSourceMapping", /^Pools/, (inputs) => ({ ...inputs, batchSize: 100 })),
  ],
  "a batch of nobody's size": [
    "consumers",
    change("aws:lambda/eventSourceMapping:EventSourceMapping", /^Pools/, ({ batchSize, ...inputs }) => inputs),
  ],
  "a schedule that is lost": [
    "schedules",
    change("aws:scheduler/schedule:Schedule", /AutoStop/, ({ target, ...inputs }) => ({
      ...inputs,
      target: { ...target, deadLetterConfig: undefined },
    })),
  ],
  "a schedule that waits after a deployment": [
    "schedules",
    change("aws:scheduler/schedule:Schedule", /^SchedulesAutoStopStart$/, () => undefined),
  ],
  "an uptime since the last cold start": [
    "environments",
    change(lambda, /^SharedHealthFunction$/, (inputs) => {
      delete inputs.environment.variables.DEPLOYED_AT;
      return inputs;
    }),
  ],
  ...Object.fromEntries(
    ["Api", "Socket"].map((name) => [
      `paths in the log of ${name}`,
      [
        "logsOfRequests",
        change(apiStage, new RegExp(`^${name}`), (inputs) => ({
          ...inputs,
          accessLogSettings: { format: "$context.path" },
        })),
      ],
    ]),
  ),
  "no log of requests": ["logsOfRequests", change(apiStage, /./, ({ accessLogSettings, ...inputs }) => inputs)],
  "commands in a log": [
    "logsOfRequests",
    change(apiStage, /^Socket/, (inputs) => ({
      ...inputs,
      defaultRouteSettings: { ...inputs.defaultRouteSettings, dataTraceEnabled: true },
    })),
  ],
  "a log of the edge": [
    "logsOfRequests",
    change(distribution, /./, (inputs) => ({ ...inputs, loggingConfig: { bucket: "logs" } })),
  ],
  "a log of the firewall": [
    "logsOfRequests",
    // Each fault changes an existing resource, so this one turns into the log.
    (resource) =>
      resource.type === "aws:cloudfront/function:Function"
        ? { ...resource, type: "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration" }
        : resource,
  ],
  "a policy that AWS keeps": [
    "actions",
    change(role, /^EndpointTable$/, (inputs) => ({
      ...inputs,
      managedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"],
    })),
  ],
  "a policy attached to a role": [
    "actions",
    (resource) =>
      resource.type === recursion
        ? { ...resource, type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment" }
        : resource,
  ],
  ...Object.fromEntries(
    ["RolePolicy", "RolePolicyAttachment", "RolePoliciesExclusive"].map((kind) => [
      `a role with inline policies and a ${kind}`,
      [
        "onePlaceOfPolicies",
        (resource: Resource) =>
          resource.type === recursion
            ? {
                ...resource,
                type: `aws:iam/r${kind.slice(1)}:${kind}`,
                inputs: { role: "EndpointTable", policy: '{"Statement":[]}' },
              }
            : resource,
      ] as const,
    ]),
  ),
  "a role that deletes the table": [
    "actions",
    change(role, /^EndpointTable$/, (inputs) => widen(inputs, "dynamodb:GetItem", "dynamodb:DeleteTable")),
  ],
  "more than a function may be told": [
    "environments",
    change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => {
      inputs.environment.variables.ALLOWED_ROLES = Array.from({ length: 400 }, (_, n) => `Role${n}`).join();
      return inputs;
    }),
  ],
  "a timeout in place of memory": [
    "functions",
    change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => ({
      ...inputs,
      timeout: inputs.memorySize,
      memorySize: inputs.timeout,
    })),
  ],
  "a firewall that stands nowhere": ["firewall", change(distribution, /./, ({ webAclId, ...inputs }) => inputs)],
  "a firewall that answers in another form": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => {
      inputs.customResponseBodies[0].content = '{"error":"Too many requests"}';
      return inputs;
    }),
  ],
  "a firewall that dot segments pass": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => {
      const { orStatement } = inputs.rules[0].statement.rateBasedStatement.scopeDownStatement;
      orStatement.statements[0].byteMatchStatement.textTransformations.pop();
      return inputs;
    }),
  ],
  "a firewall that escaped dot segments pass": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => {
      const { orStatement } = inputs.rules[0].statement.rateBasedStatement.scopeDownStatement;
      for (const each of orStatement.statements[0].byteMatchStatement.textTransformations)
        each.priority = 1 - each.priority;
      return inputs;
    }),
  ],
  "a firewall that does not count guesses of codes for browsers": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => {
      inputs.rules[0].statement.rateBasedStatement.scopeDownStatement.orStatement.statements.pop();
      return inputs;
    }),
  ],
  "a firewall that keeps samples of requests, whose paths may hold keys": [
    "firewall",
    change("aws:wafv2/webAcl:WebAcl", /./, (inputs) => {
      inputs.rules[0].visibilityConfig.sampledRequestsEnabled = true;
      return inputs;
    }),
  ],
  "a role that the cluster does not know": [
    "clusterAccess",
    change("aws:eks/accessEntry:AccessEntry", /^ConsumerWork/, () => undefined),
  ],
  "a role with more than its group": [
    "clusterAccess",
    change("aws:eks/accessEntry:AccessEntry", /^ConsumerWork/, (inputs) => ({
      ...inputs,
      kubernetesGroups: ["system:masters"],
    })),
  ],
  "an access entry whose cluster and type are exchanged": [
    "clusterAccess",
    change("aws:eks/accessEntry:AccessEntry", /^ConsumerWork/, (inputs) => ({
      ...inputs,
      clusterName: inputs.type,
      type: inputs.clusterName,
    })),
  ],
  "requests that may do all on the cluster": [
    "clusterAccess",
    change("aws:eks/accessEntry:AccessEntry", /^Endpoint/, (inputs) => ({
      ...inputs,
      kubernetesGroups: ["berth:controller"],
    })),
  ],
  "a web shell that may do all on the cluster": [
    "clusterAccess",
    change("aws:eks/accessEntry:AccessEntry", /^Socket/, (inputs) => ({
      ...inputs,
      kubernetesGroups: ["berth:controller"],
    })),
  ],
  "a DLQ without an alarm": ["alarms", change(alarm, /^SchedulesDeadAlarm$/, () => undefined)],
  "an alarm that tells nobody": ["alarms", change(alarm, /^ThrottlesAlarm$/, ({ alarmActions, ...inputs }) => inputs)],
  "an alarm of a metric that nobody writes": [
    "alarms",
    change(alarm, /^SendsFailedAlarm$/, (inputs) => ({ ...inputs, metricName: "SendFailed" })),
  ],
  "an alarm that takes the name of a dimension for a metric": [
    "alarms",
    change(alarm, /^SendsFailedAlarm$/, (inputs) => ({ ...inputs, metricName: "Status" })),
  ],
  "an alarm without the dimension of its metric": [
    "alarms",
    change(alarm, /^Answers5xxAlarm$/, ({ dimensions, ...inputs }) => inputs),
  ],
  "a command that is as old as it may take": [
    "alarms",
    change(alarm, /^ShellAgeAlarm$/, (inputs) => ({ ...inputs, threshold: 60 })),
  ],
  "a sweep that is missed before there could be one": [
    "alarms",
    (resource) => (resource.name === "SchedulesAutoStopMissedAlarm" ? { ...resource, after: [] } : resource),
  ],
  "a canary that asks behind the edge": [
    "canary",
    change("aws:route53/healthCheck:HealthCheck", /./, (inputs) => ({
      ...inputs,
      fqdn: "api.execute-api.us-east-1.amazonaws.com",
    })),
  ],
  "no canary": ["canary", change("aws:route53/healthCheck:HealthCheck", /./, () => undefined)],
  "a canary whose alarm is where it has no metric": [
    "canary",
    change(alarm, /^CanaryAlarm$/, ({ region, ...inputs }) => inputs),
  ],
  "an alarm that notifies a topic of another region": [
    "alarms",
    change(alarm, /^CanaryAlarm$/, (inputs) => ({ ...inputs, region: "eu-west-1" })),
  ],
  "answers without HSTS": [
    "transport",
    change(distribution, /./, (inputs) => {
      delete inputs.orderedCacheBehaviors[0].responseHeadersPolicyId;
      return inputs;
    }),
  ],
  "an origin that is reached by an old TLS": [
    "transport",
    change(distribution, /./, (inputs) => {
      inputs.origins[1].customOriginConfig.originSslProtocols = ["TLSv1", "TLSv1.2"];
      return inputs;
    }),
  ],
  "a wrong secret that nobody hears of": ["errorEvents", change(alarm, /^OriginsRefusedAlarm$/, () => undefined)],
  "an outage of the cluster without an alarm": [
    "errorEvents",
    change(alarm, /^ClusterUnreachableAlarm$/, () => undefined),
  ],
  "an outage of the cluster that is never long enough for its alarm": [
    "errorEvents",
    change(alarm, /^ClusterUnreachableAlarm$/, (inputs) => ({ ...inputs, threshold: 5 })),
  ],
  "snapshots that pile up unseen": ["errorEvents", change(alarm, /^SnapshotsPendingAlarm$/, () => undefined)],
  "a sweep that is not missed": [
    "alarms",
    change(alarm, /^SchedulesDiskRetentionMissedAlarm$/, (inputs) => ({ ...inputs, treatMissingData: "notBreaching" })),
  ],
  "a sweep that fails and counts": [
    "alarms",
    change(alarm, /^SchedulesAutoStopMissedAlarm$/, (inputs) => {
      inputs.metricQueries[0].expression = "calls";
      return inputs;
    }),
  ],
  "a schedule that fails unseen": ["alarms", change(alarm, /^SchedulesOrphansErrorsAlarm$/, () => undefined)],
  "a function URL that fails unseen": ["alarms", change(alarm, /^OnmemosWorkspacesRunsh5xxAlarm$/, () => undefined)],
  "a web shell that fails unseen": ["alarms", change(alarm, /^SocketShellErrorsAlarm$/, () => undefined)],
  "an alarm that cannot fire": [
    "alarms",
    change(alarm, /^SchedulesWatchErrorsAlarm$/, (inputs) => ({ ...inputs, threshold: 5 })),
  ],
  "a call that fails three times": [
    "alarms",
    change(
      "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
      /^SchedulesAutoStopEvent/,
      () => undefined,
    ),
  ],
  "an error event without an alarm": ["errorEvents", change(alarm, /^DisksLostAlarm$/, () => undefined)],
  "an alarm that a lost disk does not reach": [
    "errorEvents",
    change(alarm, /^DisksLostAlarm$/, (inputs) => ({ ...inputs, threshold: 100 })),
  ],
  "an alarm that says a lost disk is back": [
    "errorEvents",
    change(alarm, /^DisksLostAlarm$/, (inputs) => ({ ...inputs, okActions: inputs.alarmActions })),
  ],
  "alarms without an address": ["alarms", change("aws:sns/topicSubscription:TopicSubscription", /./, () => undefined)],
  "a graph of another stage": [
    "dashboard",
    change("aws:cloudwatch/dashboard:Dashboard", /./, (inputs) => ({
      ...inputs,
      dashboardBody: inputs.dashboardBody.replace(`berth/${stage}`, "berth/other"),
    })),
  ],
  "frames in another's name": [
    "socketFrames",
    change("aws:apigatewayv2/integration:Integration", /^SocketFrames$/, (inputs) => {
      inputs.requestTemplates.$default = inputs.requestTemplates.$default.replace(
        "$context.connectionId",
        "$input.path('$.id')",
      );
      return inputs;
    }),
  ],
  "frames into another queue": [
    "socketRoutes",
    change("aws:apigatewayv2/integration:Integration", /^SocketFrames$/, (inputs) => ({
      ...inputs,
      integrationUri: inputs.integrationUri.replace("ShellQueue", "ShellDeadQueue"),
    })),
  ],
  "a shell that nobody lets in": ["socketRoutes", change(route, /^SocketConnect$/, () => undefined)],
  "a shell for every queue": [
    "socketRights",
    changeSocketPolicy((policy) => policy.replace(/"arn:aws:sqs[^"]*"/, '"*"')),
  ],
  "a throughput for all connections together": [
    "socketLimits",
    change(queue, /^ShellQueue$/, ({ fifoThroughputLimit, ...inputs }) => inputs),
  ],
  "a stage that takes any number of frames": [
    "socketLimits",
    change("aws:apigatewayv2/stage:Stage", /^Socket$/, ({ defaultRouteSettings, ...inputs }) => inputs),
  ],
  "more than a role may be told": [
    "policySizes",
    changeSocketPolicy((policy) => {
      const document = JSON.parse(policy);
      const more = Array.from({ length: 20 }, (_, n) => ({ ...document.Statement[0], Sid: `Frames${n}` }));
      return JSON.stringify({ ...document, Statement: [...document.Statement, ...more, ...more] });
    }),
  ],
  "commands for whoever receives them": [
    "socketSecrecy",
    change(queue, /^ShellQueue$/, ({ kmsMasterKeyId, ...inputs }) => inputs),
  ],
  "given up commands for whoever receives them": [
    "socketSecrecy",
    change(queue, /^ShellDeadQueue$/, (inputs) => ({ ...inputs, kmsMasterKeyId: "alias/aws/sqs" })),
  ],
  "a shell that opens what was sealed": [
    "socketRights",
    changeSocketPolicy((policy) => policy.replace("kms:ViaService", "kms:CallerAccount")),
  ],
  "commands kept for days": [
    "socketLimits",
    change(queue, /^ShellQueue$/, ({ messageRetentionSeconds, ...inputs }) => inputs),
  ],
  "two frames at once": [
    "consumers",
    change("aws:lambda/eventSourceMapping:EventSourceMapping", /^Shell/, (inputs) => ({ ...inputs, batchSize: 10 })),
  ],
  "a shell that does not know its queue": [
    "environments",
    change(lambda, /^SocketShellFunction$/, (inputs) => {
      delete inputs.environment.variables.SHELL_QUEUE_URL;
      return inputs;
    }),
  ],
  ...Object.fromEntries(
    [
      "GpuDevJobsGet",
      "GpuDevJobsList",
      "NovitaInstancesGet",
      "ConsumersDeliver",
      "SharedDiscovery",
      "ConsumersReconcile",
    ].map((name) => [
      `a gateway that ${name} does not know`,
      ["waysIn", change(lambda, new RegExp(`^${name}Function$`), withoutVariable("SSH_GATEWAY"))],
    ]),
  ),
  "a gateway whose host keys no client can check": [
    "waysIn",
    change(lambda, /^SharedDiscoveryFunction$/, withoutVariable("SSH_HOST_KEYS")),
  ],
  "a gateway beside node ports": [
    "waysIn",
    change(lambda, /^ConsumersReconcileFunction$/, (inputs) => {
      inputs.environment.variables.CLUSTER_SSH = "nodeport";
      return inputs;
    }),
  ],
  "a gateway that may write environments": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => widen(inputs, '"dynamodb:GetItem"', '"dynamodb:GetItem","dynamodb:PutItem"')),
  ],
  "a gateway that reads every partition": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => widen(inputs, '"owner#*"', '"*"')),
  ],
  "a gateway that may make keys": ["gatewayRole", change(role, /^Gateway$/, (inputs) => moveTickets(inputs, "key#*"))],
  "a gateway that writes every partition": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => moveTickets(inputs, "*")),
  ],
  "a gateway that removes tickets": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) =>
      widen(inputs, '"dynamodb:PutItem"', '"dynamodb:PutItem","dynamodb:DeleteItem"'),
    ),
  ],
  "a gateway that cannot use a ticket up": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => widen(inputs, ',"dynamodb:PutItem"', "")),
  ],
  "a gateway that reads no ticket": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => widen(inputs, '"dynamodb:GetItem","dynamodb:PutItem"', '"dynamodb:PutItem"')),
  ],
  "a gateway that opens sealed texts": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => widen(inputs, '"dynamodb:Query"', '"dynamodb:Query","kms:Decrypt"')),
  ],
  "a gateway's role for every pod of the account": [
    "gatewayRole",
    change(role, /^Gateway$/, (inputs) => ({
      ...inputs,
      assumeRolePolicy: inputs.assumeRolePolicy.replace(/,"Condition":\{.*?\}\}/, ""),
    })),
  ],
  "a gateway without its role": ["gatewayRole", change(podIdentity, /./, () => undefined)],
  "a gateway's role for another account": [
    "gatewayRole",
    change(podIdentity, /./, (inputs) => ({ ...inputs, serviceAccount: "berth" })),
  ],
  "a stage that does not say which hosts lead to its gateway": [
    "outputs",
    change("berth:stage:Outputs", /./, ({ pageHosts, ...inputs }) => inputs),
  ],
  "a function less": ["functions", change(lambda, /^GpuDevJobsGetFunction$/, () => undefined)],
};

/** Mistakes of a stage with ACCESS=nodeport, with the check that finds each. */
export const nodePortFaults: Readonly<Record<string, readonly [check: string, fault: Fault]>> = {
  "a driver that opens no node port": [
    "waysIn",
    change(lambda, /^ConsumersReconcileFunction$/, withoutVariable("CLUSTER_SSH")),
  ],
  "a configured endpoint that one function does not have": [
    "clusterAddress",
    change(lambda, /^ConsumersReconcileFunction$/, withoutVariable("EKS_ENDPOINT")),
  ],
  "jobs that say nobody gets in": [
    "waysIn",
    change(lambda, /^GpuDevJobsGetFunction$/, (inputs) => {
      inputs.environment.variables.ACCESS = "none";
      return inputs;
    }),
  ],
};

/** Mistakes of a stage with EBS_KMS_KEY_ID. The check `keyOfVolumes` finds them. */
export const volumeKeyFaults: Readonly<Record<string, Fault>> = {
  "volumes under the account's default key": change(lambda, /^ConsumersReconcileFunction$/, (inputs) => {
    delete inputs.environment.variables.EBS_KMS_KEY_ID;
    return inputs;
  }),
  "a key that volumes cannot be attached with": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, '"kms:CreateGrant"', '"kms:ListGrants"'),
  ),
  "grants for whoever takes the role": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, '"kms:GrantIsForAWSResource":"true"', '"kms:GrantIsForAWSResource":"false"'),
  ),
  "a key that code opens without EC2": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, /(?<="EncryptVolumes".*?)kms:ViaService/, "kms:CallerAccount"),
  ),
  "a grant for any key": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, /(?<="GrantToVolumes".*?"Resource":\[)"[^"]*"/, '"*"'),
  ),
};

/** Mistakes of a stage with API_DOMAIN. The check `transport` finds them. */
export const domainFaults: Readonly<Record<string, Fault>> = {
  "a host name that takes TLS 1.0": change(distribution, /./, (inputs) => {
    inputs.viewerCertificate.minimumProtocolVersion = "TLSv1";
    return inputs;
  }),
};

/** Mistakes of a stage in a network. The check `network` finds them. */
export const networkFaults: Readonly<Record<string, Fault>> = {
  "a function in it for nothing": change(lambda, /^SharedLiveFunction$/, (inputs) => ({
    ...inputs,
    vpcConfig: { subnetIds: ["subnet-1"] },
  })),
  "a function that cannot reach the cluster": change(
    lambda,
    /^ConsumersReconcileFunction$/,
    ({ vpcConfig, ...inputs }) => inputs,
  ),
  "code that may do what Lambda does for it": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, '"Effect":"Deny"', '"Effect":"Allow"'),
  ),
  "a denial that leaves code an interface": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, /(?<=InterfacesNotByCode.*)"ec2:DeleteNetworkInterface",/, ""),
  ),
  "a denial that keeps Lambda out": change(role, /^ConsumerWork$/, (inputs) =>
    widen(inputs, '"lambda:SourceFunctionArn":"false"', '"lambda:SourceFunctionArn":"true"'),
  ),
};
