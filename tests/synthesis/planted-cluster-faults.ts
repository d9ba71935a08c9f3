import { change, type Fault } from "./planted-faults.ts";
import type { Resource } from "./synthesize.ts";

const cluster = "aws:eks/cluster:Cluster";
const group = "aws:eks/nodeGroup:NodeGroup";
const addOn = "aws:eks/addon:Addon";
const template = "aws:ec2/launchTemplate:LaunchTemplate";
const role = "aws:iam/role:Role";
const attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";

const setCluster = (more: Resource["inputs"]) => change(cluster, /./, (inputs) => ({ ...inputs, ...more }));
const changeRights = (name: RegExp, from: string | RegExp, to: string) =>
  change(role, name, (inputs) => {
    inputs.inlinePolicies[0].policy = inputs.inlinePolicies[0].policy.replace(from, to);
    return inputs;
  });
const changeInterfaces = (update: (interfaces: readonly Resource["inputs"][]) => readonly Resource["inputs"][]) =>
  change(template, /h100-us-east-1a/, (inputs) => ({ ...inputs, networkInterfaces: update(inputs.networkInterfaces) }));

/** Mistakes in stacks/cluster, with the check that finds each. */
export const clusterFaults: Readonly<Record<string, readonly [check: string, fault: Fault]>> = {
  "an API server that the internet reaches": [
    "controlPlane",
    change(cluster, /./, (inputs) => ({ ...inputs, vpcConfig: { ...inputs.vpcConfig, endpointPublicAccess: true } })),
  ],
  "Secrets without the stage's key": ["controlPlane", setCluster({ encryptionConfig: undefined })],
  "a cluster that anybody deletes": ["controlPlane", setCluster({ deletionProtection: false })],
  "a machine with a public address": [
    "clusterNetwork",
    change("aws:ec2/subnet:Subnet", /^Cluster-us-east-1a$/, (inputs) => ({ ...inputs, mapPublicIpOnLaunch: true })),
  ],
  "a zone without a way out": [
    "clusterNetwork",
    change("aws:ec2/routeTable:RouteTable", /^Cluster-us-east-1b$/, (inputs) => ({ ...inputs, routes: [] })),
  ],
  "a network without names for the private address of its API server": [
    "networkParts",
    change("aws:ec2/vpc:Vpc", /./, (inputs) => ({ ...inputs, enableDnsHostnames: false })),
  ],
  "a NAT gateway with a foreign address": [
    "networkParts",
    change("aws:ec2/natGateway:NatGateway", /./, (inputs) => ({ ...inputs, allocationId: "eipalloc-other" })),
  ],
  "functions that reach any port": [
    "functionsGroup",
    change("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", /./, (inputs) => ({
      ...inputs,
      ipProtocol: "-1",
    })),
  ],
  "a resource of a type that no check knows": [
    "typesWithChecks",
    (resource) => (resource.type === "aws:ec2/eip:Eip" ? { ...resource, type: "aws:ec2/instance:Instance" } : resource),
  ],
  "a control plane that follows a new zone": [
    "controlPlane",
    (resource) => (resource.type === cluster ? { ...resource, ignored: [] } : resource),
  ],
  "machines before their way out": [
    "clusterNetwork",
    (resource) =>
      resource.type === group
        ? { ...resource, after: resource.after.filter((each) => !each.includes("RouteTableAssociation")) }
        : resource,
  ],
  "a group whose machines a change of its limits ends": [
    "nodeGroups",
    (resource) => (resource.type === group ? { ...resource, ignored: [] } : resource),
  ],
  "a group that a zone that is added replaces": [
    "nodeGroups",
    (resource) => (resource.type === group ? { ...resource, ignored: ["scalingConfig"] } : resource),
  ],
  "a group that replaces several machines at once": [
    "nodeGroups",
    change(group, /h100/, (inputs) => ({ ...inputs, updateConfig: { maxUnavailable: 2 } })),
  ],
  "an add-on that is left out": ["addOns", change(addOn, /aws-ebs-csi-driver$/, () => undefined)],
  "a network that enforces no policies": [
    "addOns",
    change(addOn, /vpc-cni$/, (inputs) => ({ ...inputs, configurationValues: "{}" })),
  ],
  "machines before their network": [
    "addOns",
    (resource) =>
      resource.type === group
        ? { ...resource, after: resource.after.filter((each) => !each.endsWith("vpc-cni")) }
        : resource,
  ],
  "access entries before the cluster": [
    "handedOn",
    (resource) => (resource.type === "aws:eks/accessEntry:AccessEntry" ? { ...resource, after: [] } : resource),
  ],
  "a cluster that a deployment with another name removes": [
    "protection",
    (resource) => (resource.type === cluster ? { ...resource, isProtected: false } : resource),
  ],
  "a node group in the wrong subnet": [
    "nodeGroups",
    change(group, /^Cluster-h100/, (inputs) => ({ ...inputs, subnetIds: ["ClusterPublic-us-east-1a-id"] })),
  ],
  "GPU machines for any pod": ["nodeGroups", change(group, /a10g/, ({ taints, ...inputs }) => inputs)],
  "machines before their rights": [
    "nodeGroups",
    (resource) =>
      resource.type === group
        ? { ...resource, after: resource.after.filter((each) => !each.endsWith("AmazonEKSWorkerNodePolicy")) }
        : resource,
  ],
  "a block that is bought on demand": [
    "nodeGroups",
    change(group, /block/, (inputs) => ({ ...inputs, capacityType: "ON_DEMAND" })),
  ],
  "a machine whose pods reach its credentials": [
    "launchTemplates",
    change(template, /h100/, (inputs) => ({
      ...inputs,
      metadataOptions: { ...inputs.metadataOptions, httpPutResponseHopLimit: 2 },
    })),
  ],
  "machines outside of their reservation": [
    "launchTemplates",
    change(template, /a100/, ({ capacityReservationSpecification, ...inputs }) => inputs),
  ],
  "EFA interfaces outside of the cluster's security group": [
    "efaInterfaces",
    changeInterfaces((interfaces) => interfaces.map((each) => ({ ...each, securityGroups: ["sg-other"] }))),
  ],
  "a network card without EFA": ["efaInterfaces", changeInterfaces((interfaces) => interfaces.slice(0, -1))],
  "a machine that EKS cannot put into the subnet of its group": [
    "efaInterfaces",
    changeInterfaces((interfaces) => interfaces.map((each) => ({ ...each, subnetId: "Cluster-us-east-1a-id" }))),
  ],
  "machines of two zones in one placement group": [
    "placementGroups",
    change(template, /h100-us-east-1b/, (inputs) => ({
      ...inputs,
      placement: { groupName: inputs.placement.groupName.replace("1b", "1a") },
    })),
  ],
  "a Capacity Block in a placement group": [
    "placementGroups",
    change(template, /block/, (inputs) => ({ ...inputs, placement: { groupName: "berth-own-cluster-block" } })),
  ],
  "a group with EFA in a placement group of another zone": [
    "placementGroups",
    change(group, /h100-us-east-1b/, (inputs) => ({
      ...inputs,
      launchTemplate: { ...inputs.launchTemplate, id: "Cluster-h100-us-east-1a-id" },
    })),
  ],
  "a group that the autoscaler never starts for jobs with EFA": [
    "scaleFromZero",
    change("aws:autoscaling/tag:Tag", /h100.*efa$/, () => undefined),
  ],
  "a group that the autoscaler never starts": [
    "scaleFromZero",
    change("aws:autoscaling/tag:Tag", /h100.*gpu$/, () => undefined),
  ],
  "functions that are not told their cluster": [
    "handedOn",
    change("berth:stage:Outputs", /./, (inputs) => ({ ...inputs, settings: {} })),
  ],
  "an autoscaler that ends machines of other clusters": [
    "rolesOfCluster",
    changeRights(/^ClusterAutoscaler$/, /,"Condition":\{"StringEquals":\{"aws:ResourceTag.*?\}\}/, ""),
  ],
  "a driver that attaches any volume": [
    "rolesOfCluster",
    changeRights(/^ClusterDisks$/, /,"Condition":\{"Null".*?\}\}/, ""),
  ],
  "a driver that deletes volumes": [
    "rolesOfCluster",
    changeRights(/^ClusterDisks$/, '"ec2:DetachVolume"', '"ec2:DetachVolume","ec2:DeleteVolume"'),
  ],
  "machines with all of AWS's rights for the network": [
    "rolesOfCluster",
    change(attachment, /CNI/, (inputs) => ({ ...inputs, role: "ClusterMachines" })),
  ],
  "a control plane's role that EKS takes for clusters of other accounts": [
    "rolesOfCluster",
    change(role, /^ClusterControlPlane$/, (inputs) => ({
      ...inputs,
      assumeRolePolicy: inputs.assumeRolePolicy.replace(/,"StringEquals":\{"aws:SourceAccount":.*?\}/, ""),
    })),
  ],
  "a control plane's role that EKS takes for other clusters": [
    "rolesOfCluster",
    change(role, /^ClusterControlPlane$/, (inputs) => ({
      ...inputs,
      assumeRolePolicy: inputs.assumeRolePolicy.replace(/"ArnLike":\{"aws:SourceArn":.*?\},/, ""),
    })),
  ],
  "a role that any pod gets": [
    "rolesOfCluster",
    change(role, /^ClusterDisks$/, (inputs) => ({
      ...inputs,
      assumeRolePolicy: inputs.assumeRolePolicy.replace(/,"Condition":.*?\}\}/, ""),
    })),
  ],
};
