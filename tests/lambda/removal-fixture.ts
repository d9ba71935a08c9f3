import {
  CreateNetworkInterfaceCommand,
  CreateSnapshotCommand,
  CreateSubnetCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  DeleteNetworkInterfaceCommand,
  DeleteSnapshotCommand,
  DeleteVolumeCommand,
  EC2Client,
  type ResourceType,
} from "@aws-sdk/client-ec2";
import type { KubeClient } from "../cluster/client.ts";
import { getJobs, must } from "../cluster/objects.ts";

const tagged = (ResourceType: ResourceType, tags: Readonly<Record<string, string>>) => ({
  TagSpecifications: [{ ResourceType, Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }],
});

/** Creates a disk of a deployment with a backup, a disk of another one, and a load balancer in the stage's network. */
export async function fillAccount(endpoint: string, deployment: string) {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const client = new EC2Client({ endpoint, region: "us-east-1", credentials });
  const createVolume = async (owner: string) => {
    const place = { AvailabilityZone: "us-east-1a", Size: 1, ...tagged("volume", { "berth:deployment": owner }) };
    const { VolumeId = "" } = await client.send(new CreateVolumeCommand(place));
    return VolumeId;
  };
  const [VolumeId] = [await createVolume(deployment), await createVolume("berth-other")];
  const snapshot = { VolumeId, ...tagged("snapshot", { "berth:deployment": deployment }) };
  const { SnapshotId = "" } = await client.send(new CreateSnapshotCommand(snapshot));
  const network = { CidrBlock: "10.90.0.0/16", ...tagged("vpc", { "sst:app": "berth", "sst:stage": "dev" }) };
  const { Vpc } = await client.send(new CreateVpcCommand(network));
  const { Subnet } = await client.send(new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock: "10.90.0.0/24" }));
  const createInterface = async (Description: string) => {
    const made = await client.send(new CreateNetworkInterfaceCommand({ SubnetId: Subnet?.SubnetId, Description }));
    return made.NetworkInterface?.NetworkInterfaceId;
  };
  await createInterface("Interface for NAT Gateway nat-0a1b");
  const NetworkInterfaceId = await createInterface("ELB net/k8s-shop/0a1b");
  return {
    disks: [VolumeId, SnapshotId],
    async deleteDisks() {
      await client.send(new DeleteSnapshotCommand({ SnapshotId }));
      await client.send(new DeleteVolumeCommand({ VolumeId }));
    },
    async deleteBalancer() {
      await client.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId }));
      client.destroy();
    },
  };
}

const services = (namespace: string) => `/api/v1/namespaces/${namespace}/services`;

/** Adds a job of a deployment, its gateway's Service and one of others to a cluster with the machine `gpu-a`. */
export async function fillCluster(admin: KubeClient, deployment: string) {
  const labels = { "berth/deployment": deployment, "berth/uid": "a".repeat(32) };
  const jobs = getJobs("berth-environments");
  const container = { name: "main", image: "image", resources: { limits: { cpu: "1", memory: "1Gi" } } };
  const template = { spec: { restartPolicy: "Never", containers: [container] } };
  const job = { metadata: { name: "run", labels }, spec: { suspend: true, template } };
  must(await admin.post(jobs, { apiVersion: "batch/v1", kind: "Job", ...job }));
  const spec = { type: "LoadBalancer", ports: [{ port: 22 }] };
  const gateway = { name: "berth-gateway", labels: { "berth/deployment": deployment } };
  must(await admin.post(services("berth-system"), { metadata: gateway, spec }));
  must(await admin.post(services("default"), { metadata: { name: "shop" }, spec }));
  return {
    endJob: async () => void must(await admin.remove(`${jobs}/run?propagationPolicy=Background`)),
    removeGateway: async () => void must(await admin.remove(`${services("berth-system")}/berth-gateway`)),
    async removeOthers() {
      must(await admin.remove(`${services("default")}/shop`));
      must(await admin.remove("/api/v1/nodes/gpu-a"));
    },
  };
}
