import type { NodeRef, Silence } from "../../../ports/compute.ts";

export interface Machine extends NodeRef {
  readonly silent: { readonly how: Silence; readonly since: number } | null;
}
