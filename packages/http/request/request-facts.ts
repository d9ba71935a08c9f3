import type { Deployment } from "../runtime.ts";

/** Facts about the request that a verb may need, besides the schemas' results. */
export interface RequestFacts {
  readonly host: string;
  readonly accept: string;
  readonly deployment: Deployment;
  readonly requestId: string;
  readonly viewer: string | undefined;
  readonly ignored: readonly string[];
  /** Checks the request's key again, for an answer that stays open. Throws like the first check. */
  readonly checkKey: () => Promise<void>;
  readonly lastEventId: string | null;
}
