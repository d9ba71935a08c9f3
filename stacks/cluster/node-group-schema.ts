import * as z from "zod";
import { instanceTypeNames } from "#core/fleet.ts";

/** AMIs that EKS builds (Amazon EKS API Reference, "CreateNodegroup", amiType), as far as Berth's machines boot them. */
const amiTypes = [
  "BOTTLEROCKET_x86_64_NVIDIA",
  "AL2023_x86_64_NVIDIA",
  "BOTTLEROCKET_x86_64",
  "AL2023_x86_64_STANDARD",
  "BOTTLEROCKET_ARM_64",
  "AL2023_ARM_64_STANDARD",
] as const;
export type AmiType = (typeof amiTypes)[number];

/** EKS allows 450 machines in a managed node group ("View and manage Amazon EKS service quotas"). */
const MOST_MACHINES = 450;
/** The largest gp3 volume is 16 TiB (EBS User Guide, "Amazon EBS General Purpose SSD volumes"). */
const MOST_DISK_GB = 16_384;

export const ZONE = /^[a-z]{2}(-[a-z]+)+-\d[a-f]$/;
/** Names of machine types in EC2. */
export const TYPE_NAME = /^[a-z0-9-]+\.(medium|large|\d*xlarge|metal(-\d+xl)?)$/;
const MachineType = z
  .enum(instanceTypeNames)
  .describe("machine type of the group: one of Berth's, or of MACHINE_TYPES");

const reservation = (noun: string) =>
  z
    .string()
    .regex(/^cr-[0-9a-f]{8,17}$/, "must be an id like cr-0123456789abcdef0")
    .describe(`id of ${noun}, which is in one zone`)
    .optional();

const NodeGroup = z.strictObject({
  name: z
    .string()
    // With a zone it is the name of a node group, which has at most 63 characters.
    .regex(/^(?!system$)[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/, "must be 1 to 32 of a-z, 0-9 and -, but not system")
    .describe("name of the group. Each zone gets a node group <name>-<zone>"),
  type: MachineType,
  min: z.int().min(0).max(MOST_MACHINES).default(0).describe("machines in each zone that always run"),
  max: z.int().min(1).max(MOST_MACHINES).describe("most machines in each zone"),
  zones: z.array(z.string().regex(ZONE, "must be zones like us-east-1a")).min(1).max(6),
  ami: z.enum(amiTypes).optional().describe("AMI, by default one that suits the type and has NVIDIA's driver"),
  diskGb: z.int().min(50).max(MOST_DISK_GB).default(200).describe("disk of a machine, which holds images and logs"),
  efa: z
    .boolean()
    .default(false)
    .describe("true: EFA interfaces, and a placement group without a reservation, for jobs of several machines"),
  spot: z.boolean().default(false).describe("true: Spot machines, which EC2 may take back"),
  reservation: reservation("an On-Demand Capacity Reservation"),
  capacityBlock: reservation("a Capacity Block for ML"),
});
export type NodeGroup = z.output<typeof NodeGroup>;

export const NodeGroups = z.array(NodeGroup).min(1);

/** Returns the JSON schema of EKS_NODE_GROUPS, for editors. It does not know which types MACHINE_TYPES of a stage adds. */
export function nodeGroupsSchema(): object {
  const title = "EKS_NODE_GROUPS, the machines of a stage's own cluster";
  const schema = z.toJSONSchema(NodeGroups, {
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema !== MachineType) return;
      const { enum: names = [] } = jsonSchema;
      delete jsonSchema.enum;
      jsonSchema.anyOf = [{ enum: names }, { pattern: TYPE_NAME.source }];
    },
  });
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title, ...schema };
}
