import { EC2Client, EC2ServiceException } from "@aws-sdk/client-ec2";
import { VolumeRefused } from "#core/problem.ts";
import { clientOptions, type ServiceAddress, type ServicePatience } from "../client-options.ts";

export interface Ec2Clients {
  readonly client: EC2Client;
  /** Never sends a call twice, for those that EC2 takes no token for. */
  readonly once: EC2Client;
  /** As late as a call that changes something, and begins now, may end: tried again no more, and never sent later. */
  changing(): AbortSignal;
}

/**
 * The core reckons with 8 s beyond the step's budget (packages/core/reconciler/pending-creates.ts): one try that connects and answers late.
 */
const CHANGE_MS = 8_000;

/** EC2 clients with our time limits; without an address they are the environment's. */
export function ec2Clients(address?: ServiceAddress, patience?: ServicePatience): Ec2Clients {
  const options = clientOptions(address, patience);
  return {
    client: new EC2Client(options),
    once: new EC2Client({ ...options, maxAttempts: 1 }),
    changing: () => AbortSignal.timeout(patience?.changeMs ?? CHANGE_MS),
  };
}

/** Codes that end so say that there is no such thing (Amazon EC2 API Reference, error codes). */
const NOT_FOUND = /\.NotFound$|^Invalid(?:Volume|Snapshot|Instance)ID\.Malformed$/;
/** They come with the status of a fault of the server, and certainly did nothing. */
const THROTTLED = /^(?:RequestLimitExceeded|Throttl\w*|RequestThrottled\w*|InsufficientVolumeCapacity)$/;

/** The code by which EC2 refused a call that then certainly had no effect; undefined: it may have had one. */
export function refusalCode(error: unknown): string | undefined {
  if (!(error instanceof EC2ServiceException)) return undefined;
  const { httpStatusCode: status = 0 } = error.$metadata;
  return THROTTLED.test(error.name) || (status >= 400 && status < 500) ? error.name : undefined;
}

export function isNotFound(error: unknown): boolean {
  return NOT_FOUND.test(refusalCode(error) ?? "");
}

/** What a call answers, or undefined where EC2 says that there is no such thing. */
export async function unlessNotFound<Answer>(call: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** What EC2 refused, for people: the code alone, since the text may name the policy that refused, or whoever called. */
export function throwDescribed(error: unknown): never {
  const code = refusalCode(error);
  throw code === undefined ? error : new VolumeRefused(`EC2 refused it: ${code}`);
}
