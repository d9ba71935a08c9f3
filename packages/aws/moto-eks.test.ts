import { DescribeSubnetsCommand } from "@aws-sdk/client-ec2";
import {
  CreateClusterCommand,
  CreateNodegroupCommand,
  DeleteNodegroupCommand,
  EKSClient,
  type Taint,
} from "@aws-sdk/client-eks";
import { afterAll, describe, it } from "vitest";
import { MOTO_ACCOUNT, MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { patient } from "#tests/aws/patient.ts";
import { machineGroupsConformance, type NewGroup } from "#tests/conformance/machine-groups.ts";
import { clientOptions } from "./client-options.ts";
import { ec2Clients } from "./ec2/ec2-client.ts";
import { eksMachineGroups } from "./eks/eks-machine-groups.ts";

const moto = await startMoto();
const zones: [string, string] = ["us-east-1a", "us-east-1b"];
const nodeRole = `arn:aws:iam::${MOTO_ACCOUNT}:role/nodes`;

// eks-machine-groups.test.ts covers what moto lacks: health issues, throttling, groups in other states.
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
});
