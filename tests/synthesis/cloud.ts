export const ACCOUNT = "123456789012";
export const REGION = "us-east-1";

/** The address of every cluster, with a certificate authority as long as EKS's. */
export const CLUSTER_ADDRESS = {
  EKS_ENDPOINT: `https://0123456789ABCDEF0123456789ABCDEF.gr7.${REGION}.eks.amazonaws.com`,
  EKS_CA: Buffer.alloc(1_107, "c").toString("base64"),
};

type Inputs = Readonly<Record<string, unknown>>;

/** Returns the fields that AWS would set and that other resources use. */
export function makeOutputs(type: string, name: string, inputs: Inputs): Record<string, unknown> {
  const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;
  switch (type) {
    case "aws:lambda/function:Function":
      return { arn: arn("lambda", `function:${inputs.name ?? name}`), name: inputs.name ?? name, lastModified: "1" };
    case "aws:lambda/functionUrl:FunctionUrl":
      return { functionUrl: `https://${name.toLowerCase()}.lambda-url.${REGION}.on.aws/` };
    case "aws:apigatewayv2/api:Api":
      if (inputs.protocolType === "WEBSOCKET") {
        return {
          executionArn: arn("execute-api", "socket"),
          apiEndpoint: `wss://socket.execute-api.${REGION}.amazonaws.com`,
        };
      }
      return {
        executionArn: arn("execute-api", "api"),
        apiEndpoint: `https://api.execute-api.${REGION}.amazonaws.com`,
      };
    case "aws:sqs/queue:Queue":
      return {
        arn: arn("sqs", String(inputs.name ?? name)),
        url: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${inputs.name ?? name}`,
      };
    case "aws:dynamodb/table:Table":
      return { arn: arn("dynamodb", `table/${inputs.name ?? name}`) };
    case "aws:kms/key:Key":
      return { arn: arn("kms", `key/${name}`), keyId: name };
    case "aws:iam/role:Role":
      return { arn: `arn:aws:iam::${ACCOUNT}:role/${inputs.name ?? name}`, name: inputs.name ?? name };
    case "aws:eks/cluster:Cluster":
      return {
        arn: arn("eks", `cluster/${inputs.name}`),
        endpoint: CLUSTER_ADDRESS.EKS_ENDPOINT,
        certificateAuthority: { data: CLUSTER_ADDRESS.EKS_CA },
        vpcConfig: { ...(inputs.vpcConfig as Inputs), clusterSecurityGroupId: "sg-cluster" },
      };
    case "aws:eks/nodeGroup:NodeGroup":
      return { resources: [{ autoscalingGroups: [{ name: `eks-${inputs.nodeGroupName}` }] }] };
    case "aws:ec2/launchTemplate:LaunchTemplate":
      return { latestVersion: 7 };
    case "aws:cloudwatch/logGroup:LogGroup":
      return { arn: arn("logs", `log-group:${inputs.name ?? name}`), name: inputs.name ?? name };
    case "aws:cloudwatch/eventRule:EventRule":
      return { arn: arn("events", `rule/${inputs.name ?? name}`), name: inputs.name ?? name };
    case "aws:sns/topic:Topic":
      return { arn: arn("sns", name) };
    case "aws:cloudfront/function:Function":
      return { arn: `arn:aws:cloudfront::${ACCOUNT}:function/${name}` };
    case "aws:cloudfront/distribution:Distribution":
      return {
        arn: `arn:aws:cloudfront::${ACCOUNT}:distribution/EDFDVBD6EXAMPLE`,
        domainName: "d111111abcdef8.cloudfront.net",
        hostedZoneId: "Z2FDTNDATAQYW2",
      };
    case "aws:s3/bucket:Bucket":
      return {
        ...bucketNames(name, inputs),
        bucketRegionalDomainName: `${name.toLowerCase()}.s3.${REGION}.amazonaws.com`,
      };
    default:
      return /bucket/i.test(type) ? bucketNames(name, inputs) : { arn: arn("other", name) };
  }
}

function bucketNames(name: string, { bucket = name.toLowerCase() }: Inputs): Record<string, unknown> {
  return { arn: `arn:aws:s3:::${bucket}`, bucket };
}

export function answerCall(token: string, inputs: Inputs): Record<string, unknown> {
  switch (token) {
    case "aws:index/getRegion:getRegion":
      return { name: REGION, id: REGION, region: REGION };
    case "aws:index/getPartition:getPartition":
      return { partition: "aws", dnsSuffix: "amazonaws.com", id: "aws" };
    case "aws:index/getCallerIdentity:getCallerIdentity":
      return { accountId: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/deployer`, userId: "deployer" };
    case "aws:eks/getCluster:getCluster":
      return {
        name: inputs.name,
        status: "ACTIVE",
        endpoint: CLUSTER_ADDRESS.EKS_ENDPOINT,
        certificateAuthorities: [{ data: CLUSTER_ADDRESS.EKS_CA }],
      };
    case "aws:eks/getAddonVersion:getAddonVersion":
      return { version: `default for ${inputs.kubernetesVersion}` };
    case "aws:ec2/getSubnet:getSubnet":
      return { id: inputs.id, vpcId: "vpc-operator", availabilityZone: chooseZone(String(inputs.id)) };
    case "aws:iam/getPolicyDocument:getPolicyDocument":
      return { json: JSON.stringify(buildDocument(inputs)), statements: inputs.statements };
    default:
      throw new Error(`The fake cloud does not know the call ${token}`);
  }
}

/** Returns the zone that an id such as `subnet-1a` names. Other ids of VPC_SUBNETS are spread over EKS_ZONES. */
function chooseZone(subnet: string): string | undefined {
  const [, letter] = /^subnet-\d([a-z])$/.exec(subnet) ?? [];
  if (letter !== undefined) return `${REGION}${letter}`;
  const { EKS_ZONES = "", VPC_SUBNETS = "" } = process.env;
  const zones = EKS_ZONES.split(",").map((zone) => zone.trim());
  return zones[VPC_SUBNETS.split(",").indexOf(subnet) % zones.length];
}

interface GivenStatement {
  readonly sid?: string;
  readonly effect?: string;
  readonly actions?: readonly string[];
  readonly resources?: readonly string[];
  readonly principals?: readonly { readonly type: string; readonly identifiers: readonly string[] }[];
  readonly conditions?: readonly {
    readonly test: string;
    readonly variable: string;
    readonly values: readonly string[];
  }[];
}

/** Writes a policy as the provider does for statements in its own form. */
function buildDocument({ statements }: Inputs): object {
  return {
    Version: "2012-10-17",
    Statement: (statements as readonly GivenStatement[]).map((input) => ({
      ...(input.sid && { Sid: input.sid }),
      Effect: input.effect ?? "Allow",
      ...(input.actions && { Action: input.actions }),
      ...(input.resources && { Resource: input.resources }),
      ...(input.principals && {
        Principal: Object.fromEntries(input.principals.map((principal) => [principal.type, principal.identifiers])),
      }),
      ...(input.conditions && { Condition: getConditions(input.conditions) }),
    })),
  };
}

function getConditions(conditions: NonNullable<GivenStatement["conditions"]>): Record<string, Record<string, unknown>> {
  const made: Record<string, Record<string, unknown>> = {};
  for (const { test, variable, values } of conditions) made[test] = { ...made[test], [variable]: values };
  return made;
}
