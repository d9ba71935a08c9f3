import type { AccessEntry, Addon, Cluster, Issue, Nodegroup } from "@aws-sdk/client-eks";
import { expect, test } from "vitest";
import type { Answer, ClusterAnswers } from "./answers.ts";
import { checkCluster } from "./check-cluster.ts";
import type { ClusterNeeds } from "./findings.ts";

const needs: ClusterNeeds = {
  cluster: "gpus",
  stage: "dev",
  isOwn: false,
  ownGroups: [],
  account: "111122223333",
  roles: [
    { name: "ConsumerWork", group: "berth:controller" },
    { name: "EndpointComputeQueueTable", group: "berth:commands" },
  ],
  isPrivate: false,
  hasGateway: true,
  tolerations: [],
  nodeTypes: [],
  otherPools: [],
};

/** The fields that the checks read of the examples in the Amazon EKS API Reference, with a stage's own values. */
const cluster: Cluster = {
  name: "gpus",
  arn: "arn:aws:eks:us-west-2:111122223333:cluster/gpus",
  status: "ACTIVE",
  resourcesVpcConfig: { endpointPublicAccess: true, endpointPrivateAccess: false, publicAccessCidrs: ["0.0.0.0/0"] },
  accessConfig: { authenticationMode: "API_AND_CONFIG_MAP" },
  health: { issues: [] },
};
const entry = (name: string, group: string, stage = "dev"): AccessEntry => ({
  principalArn: `arn:aws:iam::111122223333:role/${name}-0a1b2c3`,
  kubernetesGroups: [group],
  tags: { "sst:app": "berth", "sst:stage": stage },
  type: "STANDARD",
});
const entries = [entry("ConsumerWork", "berth:controller"), entry("EndpointComputeQueueTable", "berth:commands")];
const driver: Addon = {
  addonName: "aws-ebs-csi-driver",
  status: "ACTIVE",
  health: { issues: [] },
  podIdentityAssociations: ["arn:aws:eks:us-west-2:111122223333:podidentityassociation/gpus/a-1"],
};
const network: Addon = {
  addonName: "vpc-cni",
  status: "ACTIVE",
  health: { issues: [] },
  configurationValues: '{"env":{"WARM_IP_TARGET":"1"},"enableNetworkPolicy":"true"}',
};
const agent: Addon = { addonName: "eks-pod-identity-agent", status: "ACTIVE", health: { issues: [] } };
const p5: Nodegroup = {
  nodegroupName: "p5",
  status: "ACTIVE",
  instanceTypes: ["p5.48xlarge"],
  amiType: "BOTTLEROCKET_x86_64_NVIDIA",
  scalingConfig: { minSize: 0, maxSize: 4, desiredSize: 0 },
  taints: [{ key: "nvidia.com/gpu", value: "present", effect: "NO_SCHEDULE" }],
  health: { issues: [] },
};

interface Changes {
  readonly cluster?: Partial<Cluster>;
  readonly entries?: readonly AccessEntry[];
  readonly addons?: readonly Addon[];
  readonly groups?: readonly Nodegroup[];
}

function answers({ cluster: changed, entries: own = entries, addons, groups = [p5] }: Changes = {}): ClusterAnswers {
  return {
    cluster: { value: { ...cluster, ...changed } },
    accessEntries: { value: own },
    addons: { value: addons ?? [driver, network, agent] },
    nodeGroups: { value: groups },
  };
}

test("a cluster with all that a stage needs has no findings, and every check was made", () => {
  expect(checkCluster(answers(), needs)).toEqual({ findings: [], leftOut: [] });
});

const cases: readonly (readonly [string, Changes, Partial<ClusterNeeds>, string, string, string])[] = [
  [
    "that admits no access entries",
    { cluster: { accessConfig: { authenticationMode: "CONFIG_MAP" } } },
    {},
    "authentication mode",
    "CONFIG_MAP admits no access entries",
    "aws eks update-cluster-config --name gpus --access-config authenticationMode=API_AND_CONFIG_MAP",
  ],
  ["that is being created", { cluster: { status: "CREATING" } }, {}, "cluster gpus", "it is CREATING", "Deploy once"],
  [
    "with a health issue",
    { cluster: { health: { issues: [{ code: "Ec2SubnetNotFound", message: "We couldn't find subnet-1\u001b[2J" }] } } },
    {},
    "cluster gpus",
    "EKS reports Ec2SubnetNotFound: We couldn't find subnet-1 [2J",
    "Mend it",
  ],
  [
    "of another account",
    {},
    { account: "444455556666" },
    "cluster gpus",
    "it is in account 111122223333, and the stage is deployed to 444455556666",
    "DEPLOY_ACCOUNT",
  ],
  [
    "without a public endpoint",
    { cluster: { resourcesVpcConfig: { endpointPublicAccess: false, endpointPrivateAccess: true } } },
    {},
    "endpoint of the API server",
    "it has no public endpoint",
    "Set EKS_ACCESS=private",
  ],
  [
    "whose public endpoint admits only an office",
    { cluster: { resourcesVpcConfig: { endpointPublicAccess: true, publicAccessCidrs: ["203.0.113.5/32"] } } },
    {},
    "endpoint of the API server",
    "it admits only 203.0.113.5/32",
    "or admit 0.0.0.0/0",
  ],
  [
    "without a private endpoint",
    {},
    { isPrivate: true },
    "endpoint of the API server",
    "no private endpoint",
    "Enable",
  ],
  [
    "that lacks the entry of one role",
    { entries: entries.slice(0, 1) },
    {},
    "access entry of role EndpointComputeQueueTable",
    "it has none",
    "npm run sst -- refresh --stage dev",
  ],
  [
    "whose entry of a role has another group",
    { entries: [entry("ConsumerWork", "system:masters"), ...entries.slice(1)] },
    {},
    "access entry of role ConsumerWork",
    "its groups do not include berth:controller",
    "Deploy",
  ],
  [
    "without the EBS CSI driver",
    { addons: [network, agent] },
    {},
    "add-on aws-ebs-csi-driver",
    "attaches the disks of jobs",
    "aws eks create-addon --cluster-name gpus --addon-name aws-ebs-csi-driver",
  ],
  [
    "with a driver that EKS could not create",
    {
      addons: [
        { ...driver, status: "DEGRADED", health: { issues: [{ code: "InsufficientNumberOfReplicas", message: "0" }] } },
        network,
        agent,
      ],
    },
    {},
    "add-on aws-ebs-csi-driver",
    "it is DEGRADED; InsufficientNumberOfReplicas: 0",
    "aws eks describe-addon",
  ],
  [
    "without the add-on vpc-cni",
    { addons: [driver, agent] },
    {},
    "network policies",
    "no add-on vpc-cni",
    `aws eks create-addon --cluster-name gpus --addon-name vpc-cni --configuration-values '{"enableNetworkPolicy":"true"}'`,
  ],
  [
    "whose gateway's pods get no role",
    { addons: [driver, network] },
    {},
    "add-on eks-pod-identity-agent",
    "the gateway's pods",
    "create-addon",
  ],
  ["without node groups", { groups: [] }, {}, "node groups", "the cluster has none", "NODE_GROUPS"],
  [
    "with system machines only",
    { groups: [{ ...p5, instanceTypes: ["m7i.large"] }] },
    {},
    "node groups",
    "none of them has a GPU type",
    "docs/apis/gpu-dev.md#instance-types",
  ],
  [
    "with a group of no machines",
    { groups: [{ ...p5, scalingConfig: { minSize: 0, maxSize: 0, desiredSize: 0 } }] },
    {},
    "node group p5",
    "its maximum is 0",
    "aws eks update-nodegroup-config --cluster-name gpus --nodegroup-name p5 --scaling-config maxSize=",
  ],
  [
    "with a group of two types",
    { groups: [{ ...p5, instanceTypes: ["p5.48xlarge", "p5e.48xlarge"] }] },
    {},
    "node group p5",
    "it has 2 machine types",
    "Create a group for each type",
  ],
  [
    "with a group whose type is in a launch template",
    { groups: [p5, { nodegroupName: "own", status: "ACTIVE", amiType: "CUSTOM", launchTemplate: { id: "lt-1" } }] },
    {},
    "node group own",
    "launch template",
    "NODE_GROUPS",
  ],
  [
    "with a group that could not be created",
    { groups: [{ ...p5, status: "CREATE_FAILED" }] },
    {},
    "node group p5",
    "it is CREATE_FAILED",
    "aws eks describe-nodegroup",
  ],
  [
    "with a group whose taint keeps jobs out",
    { groups: [{ ...p5, taints: [{ key: "team", value: "ml", effect: "NO_EXECUTE" }] }] },
    {},
    "node group p5",
    "its taint team keeps jobs out",
    "NODE_TOLERATIONS",
  ],
  [
    "with GPUs that have no driver",
    { groups: [{ ...p5, amiType: "BOTTLEROCKET_x86_64" }, p5] },
    {},
    "node group p5",
    "BOTTLEROCKET_x86_64 has no NVIDIA driver",
    "AL2023_x86_64_NVIDIA",
  ],
];

test.each(cases)("a cluster %s is found, with what to do", (_, changes, changed, what, missing, todo) => {
  const { findings } = checkCluster(answers(changes), { ...needs, ...changed });

  expect(findings).toEqual([{ what, missing: expect.stringContaining(missing), todo: expect.stringContaining(todo) }]);
});

test.each([
  [undefined],
  ["{}"],
  ['{"enableNetworkPolicy":"false"}'],
  ["enableNetworkPolicy:"],
  ['"true"'],
  ["{not: [closed"],
])("an add-on vpc-cni with the values %s does not enforce network policies", (configurationValues) => {
  const addons = [driver, { ...network, configurationValues }, agent];

  expect(checkCluster(answers({ addons }), needs).findings).toMatchObject([{ what: "network policies" }]);
});

test.each([
  ['{"enableNetworkPolicy":true}'],
  ["enableNetworkPolicy: 'true'\nnodeAgent:\n  enablePolicyEventLogs: 'true'"],
])("an add-on vpc-cni with the values %s enforces network policies", (configurationValues) => {
  const addons = [driver, { ...network, configurationValues }, agent];

  expect(checkCluster(answers({ addons }), needs).findings).toEqual([]);
});

/** The forms of messages are those of Amazon EKS User Guide, "Troubleshoot problems with node groups". */
test.each([
  ["InsufficientInstanceCapacity - We currently do not have sufficient p5.48xlarge capacity in us-east-1a.", "zones"],
  ["VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 0 allows.", "quota"],
  ["InsufficientFreeAddressesInSubnet - Not enough free addresses.", "subnets"],
  ["InvalidParameterValue - Value () is invalid.", "aws eks describe-nodegroup"],
])("a group that cannot launch machines because of %s says what to do", (text, todo) => {
  const message = `Could not launch On-Demand Instances. ${text} Launching EC2 instance failed.`;
  const issue: Issue = { code: "AsgInstanceLaunchFailures", message, resourceIds: ["eks-p5-1234"] };

  const { findings } = checkCluster(answers({ groups: [{ ...p5, health: { issues: [issue] } }] }), needs);

  expect(findings).toEqual([
    {
      what: "node group p5",
      missing: `EKS reports AsgInstanceLaunchFailures: ${message}`,
      todo: expect.stringContaining(todo),
    },
  ]);
});

test("groups of types that NODE_GROUPS names are the operator's, and need no node group", () => {
  const groups = [{ ...p5, scalingConfig: { minSize: 0, maxSize: 0, desiredSize: 0 } }];
  const others = { ...needs, otherPools: ["h100"] };

  expect(checkCluster(answers({ groups }), others).findings).toEqual([]);
  expect(checkCluster(answers({ groups: [] }), others).findings).toEqual([]);
});

test("on a stage's own cluster, what a deployment makes is left to the deployment", () => {
  const isMadeByHand = ({ todo }: { readonly todo: string }) => /aws eks (create|update)-|Create one/.test(todo);
  const lacking = answers({ groups: [], addons: [] });

  expect(checkCluster(lacking, needs).findings.filter(isMadeByHand)).toHaveLength(4);
  const own = checkCluster(lacking, { ...needs, isOwn: true }).findings;
  expect(own.filter(isMadeByHand)).toEqual([]);
  expect(own.find(({ what }) => what === "node groups")?.todo).toBe(
    "Deploy: that makes it. If it was changed by hand, run `npm run sst -- refresh --stage dev` before",
  );
});

const ownNeeds: ClusterNeeds = {
  ...needs,
  isOwn: true,
  hasGateway: false,
  ownGroups: [{ name: "p5", minSize: 0, maxSize: 4 }],
};
const withRole = { ...network, podIdentityAssociations: driver.podIdentityAssociations };

test("a stage's own cluster with its add-ons, their roles and its groups lacks nothing", () => {
  const { findings } = checkCluster(answers({ addons: [driver, withRole, agent] }), ownNeeds);

  expect(findings).toEqual([]);
});

test.each([
  ["no Pod Identity agent", { addons: [driver, withRole] }, "add-on eks-pod-identity-agent: EKS manages none"],
  ["a network without a role", { addons: [driver, network, agent] }, "add-on vpc-cni: it has no role"],
  [
    "a driver without a role",
    { addons: [{ ...driver, podIdentityAssociations: [] }, withRole, agent] },
    "add-on aws-ebs-csi-driver: it has no role",
  ],
  [
    "another group in place of its own",
    { addons: [driver, withRole, agent], groups: [{ ...p5, nodegroupName: "other" }] },
    "node group p5: the stage makes it, and EKS has none",
  ],
  [
    "other limits than its settings",
    { addons: [driver, withRole, agent], groups: [{ ...p5, scalingConfig: { minSize: 0, maxSize: 2 } }] },
    "node group p5: it has 0 to 2 machines, and the stage's settings 0 to 4",
  ],
])("on a stage's own cluster, %s is a lack, with or without a gateway", (_, changes, lack) => {
  const found = checkCluster(answers(changes), ownNeeds).findings.map(({ what, missing }) => `${what}: ${missing}`);

  expect(found).toEqual([expect.stringContaining(lack)]);
});

test("a group of EKS whose type NODE_GROUPS names is told, because its limits and zones do not count", () => {
  const why = "NODE_GROUPS names p5.48xlarge, so jobs wait by its limits and zones, not by those of this group";
  const overridden = { what: `node group ${p5.nodegroupName}`, why };

  expect(checkCluster(answers({ groups: [p5] }), { ...needs, otherPools: ["h100"] }).leftOut).toContainEqual(
    overridden,
  );
  expect(checkCluster(answers({ groups: [p5] }), needs).leftOut).not.toContainEqual(overridden);
});

const block: Nodegroup = {
  nodegroupName: "block-us-east-1b",
  status: "ACTIVE",
  capacityType: "CAPACITY_BLOCK",
  amiType: "BOTTLEROCKET_x86_64_NVIDIA",
  launchTemplate: { id: "lt-1" },
  scalingConfig: { minSize: 0, maxSize: 4, desiredSize: 0 },
};
const ofBlocks = { ...needs, otherPools: ["h200"] };

test("a group of a Capacity Block lacks nothing while it has no machines, and the report says when it has some", () => {
  expect(checkCluster(answers({ groups: [block] }), ofBlocks)).toEqual({
    findings: [],
    leftOut: [
      {
        what: "time of block-us-east-1b",
        why: expect.stringContaining("machines from its start until 30 minutes before its end"),
      },
    ],
  });
});

test("a group of a Capacity Block needs no type, but a maximum and tolerated taints as every group", () => {
  const taints: Nodegroup["taints"] = [{ key: "team", value: "others", effect: "NO_SCHEDULE" }];
  const scalingConfig = { ...block.scalingConfig, maxSize: 0 };

  expect(checkCluster(answers({ groups: [block] }), needs).findings).toEqual([]);
  expect(checkCluster(answers({ groups: [{ ...block, taints, scalingConfig }] }), needs).findings).toMatchObject([
    { what: "node group block-us-east-1b", missing: expect.stringContaining("maximum is 0") },
    { what: "node group block-us-east-1b", missing: expect.stringContaining("taint team") },
  ]);
});

test.each([
  [
    "InsufficientInstanceCapacity - We currently do not have sufficient p5e.48xlarge capacity.",
    "wait: a Capacity Block",
  ],
  ["VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit.", "quota"],
])("a group of a Capacity Block that cannot launch machines because of %s says what to do", (text, todo) => {
  const issues: Issue[] = [{ code: "AsgInstanceLaunchFailures", message: `Could not launch. ${text}` }];

  const { findings } = checkCluster(answers({ groups: [{ ...block, health: { issues } }] }), ofBlocks);

  expect(findings).toMatchObject([{ what: "node group block-us-east-1b", todo: expect.stringContaining(todo) }]);
});

test("entries of another stage do not count, and before its first deployment a stage has none", () => {
  const others = entries.map(({ kubernetesGroups = [], ...rest }) => ({
    ...rest,
    kubernetesGroups,
    tags: { "sst:app": "berth", "sst:stage": "prod" },
  }));

  expect(checkCluster(answers({ entries: others }), needs)).toEqual({
    findings: [],
    leftOut: [{ what: "access entries", why: "no role of stage dev has one yet; its first deployment creates them" }],
  });
});

test("a cluster in Auto Mode needs no add-ons but the EBS CSI driver, and no node groups", () => {
  const auto = { computeConfig: { enabled: true } };

  expect(checkCluster(answers({ cluster: auto, addons: [driver], groups: [] }), needs)).toMatchObject({
    findings: [],
    leftOut: [{ what: "network policies" }],
  });
  expect(checkCluster(answers({ cluster: auto, addons: [], groups: [] }), needs).findings).toMatchObject([
    { what: "add-on aws-ebs-csi-driver" },
  ]);
});

test("what EKS does not show is left out: the device plugin of Amazon Linux, and the rights of a driver without a role", () => {
  const groups = [{ ...p5, amiType: "AL2023_x86_64_NVIDIA" as const }];
  const { podIdentityAssociations: _, ...withoutRole } = driver;

  const { findings, leftOut } = checkCluster(answers({ groups, addons: [withoutRole, network, agent] }), needs);

  expect(findings).toEqual([]);
  expect(leftOut).toEqual([
    { what: "rights of the EBS CSI driver", why: expect.stringContaining("no role of its own") },
    { what: "NVIDIA's device plugin", why: expect.stringContaining("p5 (AL2023_x86_64_NVIDIA) need it installed") },
  ]);
});

test("a cluster that does not exist is one finding, and every other check is left out", () => {
  const refusal = "there is no cluster";
  const none: Answer<undefined> = { value: undefined };

  const report = checkCluster(
    { cluster: none, accessEntries: { refusal }, addons: { refusal }, nodeGroups: { refusal } },
    needs,
  );

  expect(report.findings).toMatchObject([{ what: "cluster gpus", todo: expect.stringContaining("EKS_CLUSTER") }]);
  expect(report.leftOut).toEqual(
    ["access entries", "add-ons", "node groups"].map((what) => ({ what, why: "there is no cluster" })),
  );
});
