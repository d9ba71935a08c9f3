import type { ApiClient } from "../client/api-client.ts";
import { label } from "../names.ts";
import type { PlannedChange } from "./apply.ts";
import type { AppliedObject } from "./inventory.ts";
import type { Manifest } from "./manifests.ts";
import { findOwner, getLabels, isApplied } from "./object-owner.ts";
import { type FindPath, WrongScope } from "./object-paths.ts";

/** Kinds whose objects are never deleted, each with the reason. */
const keptKinds: Readonly<Record<string, string>> = {
  Namespace: "everything in it would be deleted; delete it yourself",
  CustomResourceDefinition: "all objects of its kind would be deleted; delete it yourself",
  Secret: "its keys cannot be made again; delete it yourself",
  PersistentVolume: "a job may use it; delete it yourself",
  PersistentVolumeClaim: "a job may use it; delete it yourself",
};

/** Plans what happens to an object that a former version applied, and that this version has no more. */
export async function planPrune(
  client: Pick<ApiClient, "find">,
  former: AppliedObject,
  findPath: FindPath,
  deployment: string | undefined,
): Promise<PlannedChange | undefined> {
  const leave = (why: string) => ({ action: "leave" as const, manifest: former, why });
  const path = await findPath(former).catch((error: unknown) => {
    if (error instanceof WrongScope) return error;
    throw error;
  });
  if (path instanceof WrongScope) return leave(path.message);
  // Its kind has left the cluster, and the object with it.
  if (path === undefined) return undefined;
  const live = await client.find<Manifest>(path);
  if (live === undefined) return undefined;
  if (live.metadata.uid !== former.metadata.uid) return leave("somebody deleted it and made another of this name");
  const owner = findOwner(live);
  if (owner !== undefined && owner !== deployment) return undefined;
  const kept = keptKinds[former.kind];
  if (kept !== undefined) return leave(kept);
  // Functions apply objects of jobs as the same field manager.
  if (getLabels(live)[label.uid] !== undefined) return leave("it is of a job");
  if (!isApplied(live)) return leave("Berth did not apply it");
  if (former.isAdopted) return leave("it was there before Berth; delete it yourself if nothing else needs it");
  return { action: "prune", manifest: former, path };
}
