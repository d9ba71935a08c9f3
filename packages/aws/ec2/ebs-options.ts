import type { Ec2Clients } from "./ec2-client.ts";

export interface EbsOptions extends Ec2Clients {
  /** Permanent name of this control plane, at most 128 characters. An account may hold volumes of several. */
  readonly deployment: string;
  /** ARN of the KMS key for new volumes, which their snapshots inherit. Default: the account's key. */
  readonly kmsKeyId?: string | undefined;
}

/** Reports whether a text may be an id of EC2. Calls take no other text. */
export function isId(id: string, kind: "vol" | "snap"): boolean {
  return new RegExp(`^${kind}-[0-9a-f]{8,17}$`).test(id);
}
