import { DescribeSubnetsCommand } from "@aws-sdk/client-ec2";
import {
  CreateClusterCommand,
  CreateNodegroupCommand,
  DeleteNodegroupCommand,
  EKSClient,
  type Taint,
} from "@aws-sdk/client-eks";
import { afterAll, describe, expect, it } from "vitest";
import { MOTO_ACCOUNT, MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { patient } from "#tests/aws/patient.ts";
import { machineGroupsConformance, type NewGroup } from "#tests/conformance/machine-groups.ts";
import { clientOptions } from "./client-options.ts";
import { readCluster } from "./cluster-check/answers.ts";
import { checkCluster } from "./cluster-check/check-cluster.ts";
import { ec2Clients } from "./ec2/ec2-client.ts";
import { eksMachineGroups } from "./eks/eks-machine-groups.ts";

const moto = await startMoto();
const zones: [string, string] = ["us-east-1a", "us-east-1b"];
const nodeRole = `arn:aws:iam::${MOTO_ACCOUNT}:role/nodes`;

// eks-machine-groups.test.ts and cluster-check/ cover what moto lacks: health issues, throttling, groups in other states,
// add-ons and access entries.
describe("node groups on moto's EKS", () => {
  if (!moto) {
    it("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const address = { endpoint: moto.endpoint, region: "us-east-1", credentials };
  const eks = new EKSClient(clientOptions(address, patient));
  const { client: ec2, once } = ec2Clients(address, patient);
  let opened = 0;

  afterAll(async () => {
    for (const client of [eks, ec2, once]) client.destroy();
    await moto.stop();
  });

  async function makeCluster(): Promise<string> {
    opened += 1;
    const name = `gpus-${opened}`;
    await eks.send(new CreateClusterCommand({ name, roleArn: nodeRole, resourcesVpcConfig: {} }));
    return name;
  }

  async function findSubnets(): Promise<string[]> {
    const Filters = [{ Name: "availability-zone", Values: [...zones].reverse() }];
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ Filters }));
    return Subnets.flatMap(({ SubnetId }) => SubnetId ?? []);
  }

  const taints: Readonly<Record<NonNullable<NewGroup["taint"]>, Taint>> = {
    gpu: { key: "nvidia.com/gpu", value: "present", effect: "NO_SCHEDULE" },
    other: { key: "team", value: "others", effect: "NO_SCHEDULE" },
  };

  machineGroupsConformance(async () => {
    const clusterName = await makeCluster();
    const subnets = await findSubnets();
    return {
      machineGroups: eksMachineGroups({ eks, ec2, cluster: clusterName, mostMs: 240_000 }),
      zones,
      async create({ name, instanceTypes, mostNodes, taint }) {
        await eks.send(
          new CreateNodegroupCommand({
            clusterName,
            nodegroupName: name,
            nodeRole,
            subnets,
            instanceTypes: [...instanceTypes],
            scalingConfig: { minSize: 0, desiredSize: 0, maxSize: mostNodes },
            ...(taint && { taints: [taints[taint]] }),
          }),
        );
      },
      async remove(name) {
        await eks.send(new DeleteNodegroupCommand({ clusterName, nodegroupName: name }));
      },
    };
  });

  it("are checked with their cluster, and what moto does not answer is left out", async () => {
    const cluster = await makeCluster();
    const [subnets, account] = [await findSubnets(), MOTO_ACCOUNT];
    const common = { clusterName: cluster, nodeRole, subnets, instanceTypes: ["p5.48xlarge"] };
    const scalingConfig = { minSize: 0, desiredSize: 0, maxSize: 0 };
    await eks.send(
      new CreateNodegroupCommand({ ...common, nodegroupName: "p5", amiType: "AL2023_x86_64_NVIDIA", scalingConfig }),
    );

    const { findings, leftOut } = checkCluster(await readCluster(eks, cluster, ["ConsumerWork"]), {
      cluster,
      stage: "dev",
      account,
      roles: [{ name: "ConsumerWork", group: "berth:controller" }],
      isPrivate: false,
      hasGateway: false,
      tolerations: [],
      nodeTypes: [],
      isOwn: false,
      ownGroups: [],
      otherPools: [],
    });

    // moto's clusters have no access configuration, which EKS omits for those that only read the ConfigMap.
    expect(findings.map(({ what, missing }) => [what, missing])).toEqual([
      ["authentication mode", expect.stringContaining("CONFIG_MAP")],
      ["node group p5", "its maximum is 0, so it creates no machines"],
    ]);
    expect(leftOut.map(({ what }) => what)).toEqual(["access entries", "add-ons", "NVIDIA's device plugin"]);
  });
});
