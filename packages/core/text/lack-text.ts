import type { Lack } from "../ports/machine-groups.ts";

const words = {
  machines: (type, where) => `AWS has no ${type}${where} now`,
  quota: (type) => `The AWS account's quota for ${type} is used up`,
  addresses: (type, where) => `The subnets of ${type}${where} have no free addresses`,
  other: (type, where) => `AWS cannot create a ${type}${where} now`,
} satisfies Record<Lack, (type: string, where: string) => string>;

/** Returns why AWS creates no machine of a type: `AWS has no p5.48xlarge in us-east-1a now`. */
export function lackText(lacks: Lack, type: string, zones: readonly string[]): string {
  return words[lacks](type, placeText(zones));
}

/** Returns why no machine is created before its reservation starts. */
export function startText(type: string, zones: readonly string[]): string {
  return `The Capacity Block of ${type}${placeText(zones)} has not started`;
}

function placeText(zones: readonly string[]): string {
  return zones.length > 0 ? ` in ${zones.join(" and ")}` : "";
}
