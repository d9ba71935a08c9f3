import type { NodeGroup } from "./node-group-schema.ts";

/**
 * EFA interfaces by machine type (Amazon EC2 API Reference, "EfaInfo", maximumEfaInterfaces of DescribeInstanceTypes). g4dn,
 * g5 and g6 are left out: AMIs allocate huge pages for EFA, and the memory that is left may be less than jobs of whole
 * machines request.
 */
const efaInterfaces: Readonly<Record<string, number>> = {
  "g6e.8xlarge": 1,
  "g6e.12xlarge": 1,
  "g6e.16xlarge": 1,
  "g6e.24xlarge": 2,
  "g6e.48xlarge": 4,
  "g7e.8xlarge": 1,
  "g7e.12xlarge": 1,
  "g7e.24xlarge": 2,
  "g7e.48xlarge": 4,
  "p4d.24xlarge": 4,
  "p4de.24xlarge": 4,
  "p5.48xlarge": 32,
  "p5e.48xlarge": 32,
  "p5en.48xlarge": 16,
  "p6-b200.48xlarge": 8,
  "p6-b300.48xlarge": 16,
};

/** Card 0 of this type has no EFA, as the source of `listInterfaces` says. Card 0 of the other types has. */
const WITHOUT_EFA_ON_FIRST_CARD = "p6-b300.48xlarge";

/** Resource of Kubernetes that counts EFA interfaces (EKS User Guide, "Manage EFA devices on Amazon EKS"). */
export const EFA_RESOURCE = "vpc.amazonaws.com/efa";

export function countEfaInterfaces(type: string): number {
  return efaInterfaces[type] ?? 0;
}

/**
 * Returns NEW_MACHINE_RESOURCES for groups. The next machine of a type may be of any group of it, so all of them must have
 * EFA.
 */
export function listNewResources(groups: readonly NodeGroup[]): string {
  const without = groups.filter(({ efa }) => !efa).map(({ type }) => type);
  const types = new Set(groups.map(({ type }) => type).filter((type) => !without.includes(type)));
  return [...types].map((type) => `${type}=${EFA_RESOURCE}:${countEfaInterfaces(type)}`).join();
}

/**
 * Returns a primary interface for IP, and one for EFA on each card that has it (Amazon EC2 User Guide, "Maximize network
 * bandwidth on Amazon EC2 instances with multiple network cards").
 */
export function listInterfaces(type: string) {
  const first = type === WITHOUT_EFA_ON_FIRST_CARD ? 1 : 0;
  const cards = Array.from({ length: countEfaInterfaces(type) }, (_, at) => first + at);
  return [
    { networkCardIndex: 0, deviceIndex: 0, interfaceType: "interface" },
    ...cards.map((networkCardIndex) => ({
      networkCardIndex,
      // The primary interface is device 0 of card 0.
      deviceIndex: networkCardIndex === 0 ? 1 : 0,
      interfaceType: "efa-only",
    })),
  ];
}
