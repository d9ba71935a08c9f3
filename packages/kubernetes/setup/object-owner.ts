import { fieldManager } from "../client/api-client.ts";
import { label } from "../names.ts";
import type { Manifest } from "./manifests.ts";

/** Returns the deployment of an object. `kubectl` may have applied a gateway's settings, without the label. */
export function findOwner(object: Manifest): string | undefined {
  return getLabels(object)[label.deployment] ?? (object.data as { TABLE_NAME?: string } | undefined)?.TABLE_NAME;
}

export function getLabels({ metadata }: Manifest): Readonly<Record<string, string>> {
  return (metadata.labels ?? {}) as Readonly<Record<string, string>>;
}

/** Reports whether this client has applied the object: a list of objects alone could name any. */
export function isApplied(object: Manifest): boolean {
  return listManagers(object).some(({ manager, operation }) => manager === fieldManager && operation === "Apply");
}

/** Returns another client that wrote the object. Controllers that only report its status do not count. */
export function findOtherManager(object: Manifest): string | undefined {
  const others = listManagers(object).filter(({ manager, subresource }) => manager !== fieldManager && !subresource);
  return others[0]?.manager ?? (isApplied(object) ? undefined : "somebody");
}

interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
}

function listManagers({ metadata }: Manifest): readonly ManagedFields[] {
  return (metadata.managedFields ?? []) as readonly ManagedFields[];
}
