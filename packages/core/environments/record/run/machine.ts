import type { NodeRef, Silence } from "../../../ports/compute.ts";

/** A machine that its run was granted, or is or was bound to. */
export interface Machine extends NodeRef {
  /** Since when its node object is not ready, or not there; null: it answers. */
  readonly silent: { readonly how: Silence; readonly since: number } | null;
}
