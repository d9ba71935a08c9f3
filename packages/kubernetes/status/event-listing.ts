import { isForGood } from "../client/api-error.ts";
import type { KubeObject } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";

export interface KubeEvent extends KubeObject {
  readonly involvedObject: { readonly name?: string; readonly uid?: string };
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly count?: number | null;
}

export interface EventListing<Kept> {
  /** Field selector: `reason=FailedCreate`. */
  readonly selector: string;
  readonly keptMs: number;
  keep(event: KubeEvent): readonly Kept[];
}

/** Returns a cached list of events, because the API server scans all of them. It is empty without the right to read. */
export function eventListing<Kept>(
  { client, paths }: ClusterContext,
  now: () => number,
  { selector, keptMs, keep }: EventListing<Kept>,
): () => Promise<readonly Kept[]> {
  const path = `${paths.events}?fieldSelector=${encodeURIComponent(selector)}`;
  let newest: { readonly at: number; readonly answer: Promise<readonly Kept[]> } | undefined;
  const list = async () => {
    try {
      return (await client.list<KubeEvent, Kept>(path, keep)).items;
    } catch (error) {
      if (isForGood(error)) return [];
      throw error;
    }
  };
  return async () => {
    if (!newest || now() >= newest.at + keptMs) newest = { at: now(), answer: list() };
    const pending = newest;
    try {
      return await pending.answer;
    } catch (error) {
      if (newest === pending) newest = undefined;
      throw error;
    }
  };
}
