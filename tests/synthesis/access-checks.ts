import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type Check, different, differentInOrder, findEntry, ofType } from "./checks.ts";
import { ACCOUNT, CLUSTER_ADDRESS, REGION } from "./cloud.ts";
import { ownEndpoint, stageSettings } from "./stage-settings.ts";
import type { Resource } from "./synthesize.ts";

/** The stage's outputs, which the program of the synthesis records as a resource. */
const OUTPUTS = "berth:stage:Outputs";

export const accessChecks = {
  /** Each function that reads a setting of the way in has the stage's value, and no function has that of another way. */
  waysIn(resources, functions) {
    const access = findAccess(resources);
    const wanted = settingsOfAccess[access] ?? {};
    return ofType(resources, "aws:lambda/function:Function").flatMap((resource) => {
      const { ACCESS, SSH_GATEWAY, SSH_HOST_KEYS, CLUSTER_SSH } = resource.inputs.environment?.variables ?? {};
      const found = { ACCESS, SSH_GATEWAY, SSH_HOST_KEYS, CLUSTER_SSH };
      const read = findEntry(resource, functions)?.settings ?? [];
      const told = Object.entries(found).filter(([, value]) => value !== undefined);
      const expected = Object.entries({ ACCESS: access, ...wanted }).filter(([name]) => read.includes(name));
      return different(`how ${resource.name} lets users in`, told.map(String), expected.map(String));
    });
  },

  /** Each function that reaches the cluster has its address. The stage with node ports configures the endpoint. */
  clusterAddress(resources, functions) {
    return ofType(resources, "aws:lambda/function:Function").flatMap((resource) => {
      const { EKS_ENDPOINT, EKS_CA } = resource.inputs.environment?.variables ?? {};
      const read = findEntry(resource, functions)?.settings ?? [];
      const isOwn = findAccess(resources) === "nodeport";
      const address = isOwn ? { ...CLUSTER_ADDRESS, EKS_ENDPOINT: ownEndpoint } : CLUSTER_ADDRESS;
      const expected = Object.entries(address).filter(([name]) => read.includes(name));
      const told = Object.entries({ EKS_ENDPOINT, EKS_CA }).filter(([, value]) => value !== undefined);
      return different(`where ${resource.name} finds the cluster`, told.map(String), expected.map(String));
    });
  },

  /** Only the gateway's pods may take its role, which has the rights that the gateway needs and nothing else. */
  gatewayRole(resources) {
    const roles = ofType(resources, "aws:iam/role:Role").filter(({ name }) => name === "Gateway");
    const [table] = ofType(resources, "aws:dynamodb/table:Table");
    const tableArn = `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${table?.inputs.name}`;
    const role = { trusted: [gatewayTrust], policies: [{ name: "gateway", statements: gatewayRights(tableArn) }] };
    const made = roles.map(({ inputs: { assumeRolePolicy, inlinePolicies = [] } }) => ({
      trusted: JSON.parse(assumeRolePolicy).Statement,
      policies: inlinePolicies.map(({ name, policy }: { name: string; policy: string }) => ({
        name,
        statements: JSON.parse(policy).Statement,
      })),
    }));
    const associations = ofType(resources, "aws:eks/podIdentityAssociation:PodIdentityAssociation");
    const association = { clusterName: "gpus", ...account, roleArn: `arn:aws:iam::${ACCOUNT}:role/Gateway` };
    const hasGateway = findAccess(resources) === "gateway";
    return [
      ...differentInOrder("the gateway's role", made, hasGateway ? [role] : []),
      ...differentInOrder(
        "pods with the gateway's role",
        associations.map(({ inputs: { clusterName, namespace, serviceAccount, roleArn } }) => ({
          clusterName,
          namespace,
          serviceAccount,
          roleArn,
        })),
        hasGateway ? [association] : [],
      ),
    ];
  },

  /** The operator needs the role for nothing but a look, and the names for DNS. */
  outputs(resources) {
    const { url, _protect, ...found } = findOutputs(resources);
    const access = findAccess(resources);
    const gateway = {
      sshHost: "ssh.berth.dev",
      pageHosts: "*.berth.dev",
      gatewayRole: `arn:aws:iam::${ACCOUNT}:role/Gateway`,
    };
    return [
      ...(String(url).startsWith("https://") ? [] : ["no output says where the API is"]),
      ...different(
        "outputs",
        Object.entries(found).map(String),
        Object.entries({ access, ...(access === "gateway" && gateway) }).map(String),
      ),
    ];
  },
} as const satisfies Record<string, Check>;

const settingsOfAccess: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  gateway: { SSH_GATEWAY: "ssh.berth.dev", SSH_HOST_KEYS: stageSettings.SSH_HOST_KEYS },
  nodeport: { CLUSTER_SSH: "nodeport" },
};

/** The service account of the gateway's Deployment. */
const account = readAccount();

const gatewayTrust = {
  Effect: "Allow",
  Principal: { Service: "pods.eks.amazonaws.com" },
  Action: ["sts:AssumeRole", "sts:TagSession"],
  Condition: {
    StringEquals: {
      "aws:RequestTag/eks-cluster-arn": `arn:aws:eks:${REGION}:${ACCOUNT}:cluster/gpus`,
      "aws:RequestTag/kubernetes-namespace": account.namespace,
      "aws:RequestTag/kubernetes-service-account": account.serviceAccount,
    },
  },
};

function gatewayRights(tableArn: string): object[] {
  const statement = (Sid: string, actions: readonly string[], keys: readonly string[]) => ({
    Sid,
    Effect: "Allow",
    Action: actions,
    Resource: [tableArn],
    Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } },
  });
  return [
    statement("SshLogins", ["dynamodb:Query"], ["ssh-login#*"]),
    statement("Environments", ["dynamodb:GetItem", "dynamodb:BatchGetItem"], ["owner#*"]),
    statement("Records", ["dynamodb:GetItem"], ["host#*", "key#*"]),
    statement("Tickets", ["dynamodb:GetItem", "dynamodb:PutItem"], ["ticket#*"]),
  ];
}

function findAccess(resources: readonly Resource[]): string {
  return String(findOutputs(resources).access);
}

function findOutputs(resources: readonly Resource[]): Resource["inputs"] {
  return resources.find(({ type }) => type === OUTPUTS)?.inputs ?? {};
}

function readAccount(): { readonly namespace: string; readonly serviceAccount: string } {
  const file = new URL("../../deploy/kubernetes/gateway/service-account.yaml", import.meta.url);
  const { metadata } = parse(readFileSync(file, "utf8"));
  return { namespace: metadata.namespace, serviceAccount: metadata.name };
}
