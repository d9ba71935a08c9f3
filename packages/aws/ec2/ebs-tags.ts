import type { Filter, ResourceType, Tag, TagSpecification } from "@aws-sdk/client-ec2";

/** Tags of each volume and snapshot. A snapshot's tags only inform people (Volumes). */
export const tagName = {
  /** Distinguishes the control planes of an account. */
  deployment: "berth:deployment",
  token: "berth:token",
  /** Key of the record, in base64url because a tag value does not allow every character. */
  record: "berth:record",
  disk: "berth:disk",
  attempt: "berth:attempt",
  name: "Name",
} as const;

/** EC2's limit for a value (Tag your Amazon EC2 resources, "Tag restrictions"). */
const LONGEST_VALUE = 256;

export function tagged(values: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(values).map(([Key, Value]) => ({ Key, Value: [...Value].slice(0, LONGEST_VALUE).join("") }));
}

export function recordTag(key: string | undefined): Readonly<Record<string, string>> {
  return key === undefined ? {} : { [tagName.record]: Buffer.from(key).toString("base64url") };
}

export function findRecordKey(tags: readonly Tag[] | undefined): string | undefined {
  const value = tagValue(tags, tagName.record);
  return value ? Buffer.from(value, "base64url").toString() : undefined;
}

export function specified(ResourceType: ResourceType, values: Readonly<Record<string, string>>): TagSpecification[] {
  return [{ ResourceType, Tags: tagged(values) }];
}

export function tagValue(tags: readonly Tag[] | undefined, name: string): string | undefined {
  return tags?.find(({ Key }) => Key === name)?.Value;
}

/** Returns a filter for exactly this value: `*`, `?` and `\` are special in EC2's filters. */
export function hasTag(name: string, value: string): Filter {
  return { Name: `tag:${name}`, Values: [value.replaceAll(/[*?\\]/g, "\\$&")] };
}
