import type { Ec2Clients } from "./ec2-client.ts";

export interface EbsOptions extends Ec2Clients {
  /** Names this control plane, for good: others may have volumes in the same account. At most 128 characters. */
  readonly deployment: string;
  /** The ARN of the KMS key that encrypts new volumes. Their snapshots inherit it. The account's default key if absent. */
  readonly kmsKeyId?: string | undefined;
}

/** Whether a text may be an id of EC2: nothing else reaches a call. */
export function isId(id: string, kind: "vol" | "snap"): boolean {
  return new RegExp(`^${kind}-[0-9a-f]{8,17}$`).test(id);
}
