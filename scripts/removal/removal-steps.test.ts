import { expect, it } from "vitest";
import {
  configMaps,
  daemonSets,
  deployments,
  inSystem,
  job,
  jobs,
  object,
  ofGroup,
  ofStage,
  remove,
  type World,
} from "./removal-fixture.ts";

const elsewhere = { name: "own", namespace: "team", labels: ofStage };

/** Returns the tags that SST gives to what an app has made for stage `dev`. */
const tagsOf = (app: string) => [
  { key: "sst:app", value: app },
  { key: "sst:stage", value: "dev" },
];

it.each([
  [
    "a job of two machines",
    { objects: { [jobs]: [job("a-r1", { "berth/uid": "a" }), job("a-r1-m1", { "berth/uid": "a" })] } },
    "environments on the cluster: a.\n    Pause the stage, so that no job starts (npx berth admin pause), and end each one: ",
  ],
  [
    "a job, also with the compute of a local stack in its settings,",
    { settings: { COMPUTE: "process" }, objects: { [jobs]: [job("a-r1", {})] } },
    "environments on the cluster: a-r1.\n",
  ],
  [
    "a volume and a snapshot",
    {
      objects: {},
      ec2: {
        DescribeVolumes: { volumeSet: [{ volumeId: "vol-1" }] },
        DescribeSnapshots: { snapshotSet: [{ snapshotId: "snap-1" }] },
      },
    },
    "volumes and snapshots of disks: vol-1, snap-1.\n    Deploy with DISK_RETENTION_DAYS=0, and have users delete their own disks (npx berth disks rm). While the stage is paused and runs no job, delete what stays, also of disks deleted before. This destroys the data of users\n      aws ec2 delete-volume --volume-id vol-1 --region eu-west-1\n      aws ec2 delete-snapshot --snapshot-id snap-1 --region eu-west-1\n",
  ],
  [
    "its gateway",
    { objects: { "/api/v1/namespaces/berth-system/services": [inSystem("berth-gateway", ofStage)] } },
    "the stage's gateway, images to pull ahead and capabilities: Service berth-system/berth-gateway.\n    Set ACCESS=none, ",
  ],
  [
    "a gateway that kubectl applied",
    {
      objects: {
        [configMaps]: [{ ...inSystem("berth-gateway"), data: { TABLE_NAME: "berth-dev" } }],
      },
    },
    "the stage's gateway, images to pull ahead and capabilities: ConfigMap berth-system/berth-gateway.\n",
  ],
  [
    "its mark for capabilities",
    { objects: { [configMaps]: [inSystem("berth-dev-pod-capabilities", ofStage)] } },
    "the stage's gateway, images to pull ahead and capabilities: ConfigMap berth-system/berth-dev-pod-capabilities.\n    Set ACCESS=none, remove SSH_HOST_KEYS, SSH_GATEWAY, PREPULL_IMAGES and POD_CAPABILITIES, and deploy: ",
  ],
  [
    "a gateway without its settings",
    { objects: { [deployments]: [inSystem("berth-gateway", ofStage)] } },
    "the stage's gateway, images to pull ahead and capabilities: Deployment berth-system/berth-gateway.\n",
  ],
  [
    "another stage on its cluster, without jobs,",
    {
      objects: {},
      entries: [
        ["dev", "ConsumerWork"],
        ["prod", "ConsumerWork"],
        ["prod", "EndpointCommands"],
      ],
    },
    "other stages on the cluster: prod.\n    Remove each before this one: npm run remove -- --stage <stage>\n",
  ],
  [
    "volumes, images to pull ahead and a gateway of other stages",
    {
      objects: {
        "/api/v1/persistentvolumes": [object("vol-1", { "berth/deployment": "berth-b" })],
        [daemonSets]: [object("berth-c-prepull", { "berth/deployment": "berth-c" })],
        [configMaps]: [{ ...inSystem("berth-gateway"), data: { TABLE_NAME: "berth-d" } }],
        [deployments]: [inSystem("berth-gateway", { "berth/deployment": "berth-d" })],
        [jobs]: [object("ended", { "berth/deployment": "berth-e", "berth/tombstone": "" })],
      },
    },
    "load balancers, volumes, machines and objects of others on the cluster: PersistentVolume vol-1 of berth-b, ConfigMap berth-system/berth-gateway of berth-d, DaemonSet berth-c-prepull of berth-c.\n    Delete each. ",
  ],
  [
    "load balancers, volumes, machines and jobs of others",
    {
      objects: {
        "/api/v1/services": [inSystem("shop"), { ...inSystem("own", ofStage), metadata: elsewhere }],
        "/apis/networking.k8s.io/v1/ingresses": [object("web")],
        "/api/v1/persistentvolumes": [object("pvc-1"), object("vol-1", ofStage)],
        "/api/v1/nodes": [object("karpenter"), object("m", ofGroup)],
        [jobs]: [object("b-r1", { "berth/deployment": "berth-other" })],
      },
    },
    "load balancers, volumes, machines and objects of others on the cluster: Service berth-system/shop, Service team/own, Ingress web, PersistentVolume pvc-1, Node karpenter, Job b-r1 of berth-other.\n",
  ],
  [
    "a load balancer that outlived the cluster",
    {
      ec2: {
        DescribeVpcs: { vpcSet: [{ vpcId: "vpc-1" }] },
        DescribeNetworkInterfaces: {
          networkInterfaceSet: [{ description: "ELB net/k8s-a/1" }, { description: "ELB net/k8s-a/1" }],
        },
      },
    },
    "load balancers, functions and security groups of others in the stage's network: ELB net/k8s-a/1.\n    AWS deletes a load balancer ",
  ],
  [
    "functions of others in its network",
    {
      objects: {},
      ec2: {
        DescribeVpcs: { vpcSet: [{ vpcId: "vpc-1" }] },
        DescribeNetworkInterfaces: {
          networkInterfaceSet: [
            { description: "Amazon EKS berth-dev" },
            { description: "Interface for NAT Gateway nat-0a1b" },
            { description: "aws-K8S-i-0a1b" },
            { description: "AWS Lambda VPC ENI-berth-dev-ConsumerWorkFunction-abcdefgh-0a1b" },
            { networkInterfaceId: "eni-1", attachment: { instanceId: "i-1" } },
            { description: "AWS Lambda VPC ENI-berth-dev-2-ConsumerWorkFunction-abcdefgh-0a1b" },
            { networkInterfaceId: "eni-2" },
          ],
        },
      },
    },
    "load balancers, functions and security groups of others in the stage's network: AWS Lambda VPC ENI-berth-dev-2-ConsumerWorkFunction-abcdefgh-0a1b, eni-2.\n",
  ],
  [
    "security groups of a controller and of another app in its network",
    {
      objects: {},
      ec2: {
        DescribeVpcs: { vpcSet: [{ vpcId: "vpc-1" }] },
        DescribeSecurityGroups: {
          securityGroupInfo: [
            { groupId: "sg-1", groupName: "default" },
            { groupId: "sg-2", groupName: "eks-cluster-sg-berth-dev-123456789" },
            { groupId: "sg-3", groupName: "ClusterFunctions-0a1b2c3", tagSet: tagsOf("berth") },
            { groupId: "sg-4", groupName: "k8s-traffic-berthdev-0a1b2c3d4e" },
            { groupId: "sg-5", groupName: "web-0a1b2c3", tagSet: tagsOf("shop") },
          ],
        },
      },
    },
    "load balancers, functions and security groups of others in the stage's network: sg-4 k8s-traffic-berthdev-0a1b2c3d4e, sg-5 web-0a1b2c3.\n",
  ],
  [
    "the protection of its settings",
    { settings: { EKS_PROTECT: "" }, objects: {} },
    "protection of the cluster: EKS_PROTECT is not 0.\n    Set EKS_PROTECT=0, and deploy. That ends the protection also if the deployment fails again\n",
  ],
  [
    "the protection that is deployed",
    { objects: {}, cluster: { deletionProtection: true } },
    "protection of the cluster: EKS protects berth-dev.\n",
  ],
] satisfies [string, World, string][])("a stage that has %s is not removed", async (_, world, said) => {
  const { code, stdout, stderr } = await remove(world);

  expect(code).toBe(1);
  expect(stdout).toContain(`\n  LEFT: ${said}`);
  expect(stdout.match(/LEFT: /g)).toHaveLength(1);
  expect(stdout).not.toContain("sst remove");
  expect(stderr).toContain("Nothing was removed. Do what the first of these says, and run this again");
});
