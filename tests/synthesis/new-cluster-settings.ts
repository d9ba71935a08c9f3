import { stageSettings } from "./stage-settings.ts";

const groups = [
  { name: "h100", type: "p5.48xlarge", max: 1, zones: ["us-east-1a", "us-east-1b"], diskGb: 1000, efa: true },
  { name: "a10g", type: "g5.12xlarge", min: 1, max: 3, zones: ["us-east-1a", "us-east-1b"], spot: true },
  {
    name: "block",
    type: "p5e.48xlarge",
    max: 4,
    zones: ["us-east-1b"],
    capacityBlock: "cr-0123456789abcdef0",
    efa: true,
  },
  {
    name: "a100",
    type: "p4d.24xlarge",
    max: 1,
    zones: ["us-east-1a"],
    reservation: "cr-0fedcba9876543210",
    ami: "AL2023_x86_64_NVIDIA",
  },
  { name: "arm", type: "c7g.8xlarge", max: 5, zones: ["us-east-1b"] },
];

/** A stage that makes its own cluster, whose API server is reachable only in its network. */
export const newClusterSettings = {
  ...stageSettings,
  EKS_CLUSTER: "new",
  EKS_ACCESS: "private",
  EKS_ZONES: "us-east-1a,us-east-1b",
  EKS_NODE_GROUPS: JSON.stringify(groups),
  EBS_KMS_KEY_ID: "arn:aws:kms:us-east-1:111111111111:key/0a1b2c3d-1111-2222-3333-444455556666",
};

/** The stage's name, and the cluster's. */
export const newClusterStage = "own-cluster";
export const newClusterName = "berth-own-cluster";
