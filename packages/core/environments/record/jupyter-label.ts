import type { Ids } from "../../ports/ids.ts";
import { keyText } from "../../store/keys.ts";
import type { Environment } from "./record.ts";

const DIGITS = 20;

/** Returns the host label under which a gateway serves Jupyter. Its hash includes the owner, because users choose ids. */
export function jupyterLabel({ ids }: { readonly ids: Ids }, environment: Pick<Environment, "pk" | "sk">): string {
  return `jupyter-${ids.hash(keyText(environment)).slice(0, DIGITS)}`;
}

/** Reports whether the environment's host label leads to its Jupyter, and not to a page of its own. */
export function isJupyterHost(
  ctx: { readonly ids: Ids },
  environment: Pick<Environment, "pk" | "sk" | "addressLabel">,
): boolean {
  return environment.addressLabel === jupyterLabel(ctx, environment);
}
