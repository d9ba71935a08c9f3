import { type Check, different, differentInOrder, ofType } from "./checks.ts";
import { differentFields } from "./cluster-checks.ts";
import { newClusterName as cluster } from "./new-cluster-settings.ts";
import type { Resource } from "./synthesize.ts";

/** Groups with EFA that are placed together. */
const placedGroups = ["h100-us-east-1a", "h100-us-east-1b"];
/** Node groups with `efa`, which have a launch template each. */
export const efaGroups = [...placedGroups, "block-us-east-1b"];

/** EFA of a stage with EKS_CLUSTER=new. */
export const efaChecks = {
  /**
   * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html, P5 and P5e, use case 1. The template of a
   * node group names security groups, once, and no subnets: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html.
   * The cluster's security group allows EFA: sec-group-reqs.html beside it.
   */
  efaInterfaces(resources) {
    const others = Array.from({ length: 31 }, (_, card) => `card ${card + 1} device 0 efa-only`);
    const wanted = ["card 0 device 0 interface", "card 0 device 1 efa-only", ...others];
    return ofType(resources, "aws:ec2/launchTemplate:LaunchTemplate").flatMap(({ name, inputs }) => {
      const interfaces: readonly Resource["inputs"][] = inputs.networkInterfaces ?? [];
      const found = interfaces.map(
        ({ networkCardIndex, deviceIndex, interfaceType }) =>
          `card ${networkCardIndex} device ${deviceIndex} ${interfaceType}`,
      );
      const hasEfa = efaGroups.includes(name.replace("Cluster-", ""));
      return [
        ...differentInOrder(`interfaces of ${name}`, found, hasEfa ? wanted : []),
        ...(inputs.vpcSecurityGroupIds ? [`${name} names security groups twice`] : []),
        ...interfaces.flatMap((each) =>
          differentFields(`an interface of ${name}`, each, {
            securityGroups: ["sg-cluster"],
            subnetId: undefined,
            associatePublicIpAddress: "false",
            deleteOnTermination: "true",
          }),
        ),
      ];
    });
  },

  /** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-strategies.html#placement-groups-cluster: in one zone. */
  placementGroups(resources) {
    const templates = ofType(resources, "aws:ec2/launchTemplate:LaunchTemplate");
    return [
      ...different(
        "placement groups",
        ofType(resources, "aws:ec2/placementGroup:PlacementGroup").map(
          ({ inputs }) => `${inputs.strategy} ${inputs.name}`,
        ),
        placedGroups.map((name) => `cluster ${cluster}-${name}`),
      ),
      ...different(
        "placed machines",
        templates.flatMap(({ name, inputs }) => (inputs.placement ? `${name} ${inputs.placement.groupName}` : [])),
        placedGroups.map((name) => `Cluster-${name} ${cluster}-${name}`),
      ),
      ...ofType(resources, "aws:eks/nodeGroup:NodeGroup")
        .filter(({ inputs }) => efaGroups.includes(inputs.nodeGroupName))
        .flatMap(({ name, inputs }) =>
          differentInOrder(`the template of ${name}`, inputs.launchTemplate.id, `${name}-id`),
        ),
    ];
  },
} as const satisfies Record<string, Check>;
