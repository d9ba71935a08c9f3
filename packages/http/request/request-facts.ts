import type { Deployment } from "../runtime.ts";

/** What a verb may want to know of its request, besides what its schemas made of it. */
export interface RequestFacts {
  /** The Host header of the client, or "" without one. */
  readonly host: string;
  /** The Accept header, or "" without one. */
  readonly accept: string;
  readonly deployment: Deployment;
  /** The X-Request-ID of the answer. */
  readonly requestId: string;
  /** The client's address, as the edge says it. Undefined where there is no edge, as on a laptop. */
  readonly viewer: string | undefined;
  /** Names that the request sent in vain; the answer has them in a header, too. */
  readonly ignored: readonly string[];
  /** Checks the request's key again, for an answer that stays open. Throws a Refusal as the first check does. */
  readonly checkKey: () => Promise<void>;
  /** The position from which a client reads an event stream again, or null. */
  readonly lastEventId: string | null;
}
