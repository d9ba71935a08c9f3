import type { NodeRef, Silence } from "../../../ports/compute.ts";

/** A machine of the run's grant, or one to which the run is or was bound. */
export interface Machine extends NodeRef {
  /** How and since when its node is not ready or missing; null if it answers. */
  readonly silent: { readonly how: Silence; readonly since: number } | null;
}
