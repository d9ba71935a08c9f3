import type { Filter, ResourceType, Tag, TagSpecification } from "@aws-sdk/client-ec2";

/** On each volume and snapshot. Nothing is decided by those of a snapshot but for people (Volumes). */
export const tagName = {
  /** Which of the control planes of the account. */
  deployment: "berth:deployment",
  /** The token that a volume was made with. */
  token: "berth:token",
  /** The key of the record that it was made for, as base64url: a value may not hold every character of it. */
  record: "berth:record",
  disk: "berth:disk",
  attempt: "berth:attempt",
  /** What the console of EC2 shows. */
  name: "Name",
} as const;

/** EC2 takes no more of a value (Tag your Amazon EC2 resources, "Tag restrictions"). */
const LONGEST_VALUE = 256;

export function tagged(values: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(values).map(([Key, Value]) => ({ Key, Value: [...Value].slice(0, LONGEST_VALUE).join("") }));
}

/** The tag that names a record; none where no key is known. */
export function recordTag(key: string | undefined): Readonly<Record<string, string>> {
  return key === undefined ? {} : { [tagName.record]: Buffer.from(key).toString("base64url") };
}

/** The key of the record that these name; undefined: none. */
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

/** Matches this very value: in a filter of EC2 `*`, `?` and `\` have a meaning. */
export function hasTag(name: string, value: string): Filter {
  return { Name: `tag:${name}`, Values: [value.replaceAll(/[*?\\]/g, "\\$&")] };
}
