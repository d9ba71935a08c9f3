import type { Ids } from "../../ports/ids.ts";
import { keyText } from "../../store/keys.ts";
import type { Environment } from "./record.ts";

const DIGITS = 20;

/** Returns the host label of Jupyter on a gateway, with a hash of owner and id: two owners may use the same id. */
export function jupyterLabel({ ids }: { readonly ids: Ids }, environment: Pick<Environment, "pk" | "sk">): string {
  return `jupyter-${ids.hash(keyText(environment)).slice(0, DIGITS)}`;
}

/** Reports whether the gateway sends requests for the environment's host label to its Jupyter server. */
export function isJupyterHost(
  ctx: { readonly ids: Ids },
  environment: Pick<Environment, "pk" | "sk" | "addressLabel">,
): boolean {
  return environment.addressLabel === jupyterLabel(ctx, environment);
}
