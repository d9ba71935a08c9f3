import { EC2Client, EC2ServiceException } from "@aws-sdk/client-ec2";
import { VolumeRefused } from "#core/problem.ts";
import { clientOptions, type ServiceAddress, type ServicePatience } from "../client-options.ts";

export interface Ec2Clients {
  readonly client: EC2Client;
  /** Client without retries, for calls that accept no idempotency token. */
  readonly once: EC2Client;
  /** Returns the deadline of a change that starts now. It is neither retried nor sent later. */
  changing(): AbortSignal;
}

/** One late attempt. The core allows 8 s beyond a step's budget (packages/core/reconciler/pending-creates.ts). */
const CHANGE_MS = 8_000;

/** Returns EC2 clients with our time limits, by default for the environment. */
export function ec2Clients(address?: ServiceAddress, patience?: ServicePatience): Ec2Clients {
  const options = clientOptions(address, patience);
  return {
    client: new EC2Client(options),
    once: new EC2Client({ ...options, maxAttempts: 1 }),
    changing: () => AbortSignal.timeout(patience?.changeMs ?? CHANGE_MS),
  };
}

/** Error codes for an object that does not exist (Amazon EC2 API Reference, error codes). */
const NOT_FOUND = /\.NotFound$|^Invalid(?:Volume|Snapshot|Instance)ID\.Malformed$/;
/** Codes of calls that had no effect, although their status is a server error. */
const THROTTLED = /^(?:RequestLimitExceeded|Throttl\w*|RequestThrottled\w*|InsufficientVolumeCapacity)$/;

/** Returns the code of a refusal without effect. Returns undefined if the call may have had one. */
export function refusalCode(error: unknown): string | undefined {
  if (!(error instanceof EC2ServiceException)) return undefined;
  const { httpStatusCode: status = 0 } = error.$metadata;
  return THROTTLED.test(error.name) || (status >= 400 && status < 500) ? error.name : undefined;
}

export function isNotFound(error: unknown): boolean {
  return NOT_FOUND.test(refusalCode(error) ?? "");
}

/** Returns the answer, or undefined if the object does not exist. */
export async function unlessNotFound<Answer>(call: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Throws EC2's refusal for users. Gives only the code: the text may name the policy or the caller. */
export function throwDescribed(error: unknown): never {
  const code = refusalCode(error);
  throw code === undefined ? error : new VolumeRefused(`EC2 refused it: ${code}`);
}

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
