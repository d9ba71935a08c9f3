import { printableText } from "#core/text/printable-text.ts";
import type { ApiClient } from "../client/api-client.ts";
import { label } from "../names.ts";
import { type AppliedObject, type Inventory, readInventory, toApplied, updateInventory } from "./inventory.ts";
import { formatObjectName, isSameObject, type Manifest } from "./manifests.ts";
import { compareObjects, type FieldChange } from "./object-changes.ts";
import { findOtherManager, findOwner, getLabels } from "./object-owner.ts";
import { objectPaths } from "./object-paths.ts";
import { planPrune } from "./prune.ts";
import { OLDEST_VERSION } from "./server-version.ts";

type Client = Pick<ApiClient, "get" | "find" | "apply">;

/** What would happen to an object. */
export type PlannedChange =
  | { readonly action: "create"; readonly manifest: Manifest; readonly path: string }
  | {
      readonly action: "keep";
      readonly manifest: Manifest;
      readonly live: Manifest;
      readonly madeBy: string | undefined;
    }
  | {
      readonly action: "change";
      readonly manifest: Manifest;
      readonly path: string;
      readonly fields: readonly FieldChange[];
      /** The client that made the object, if Berth did not. */
      readonly madeBy: string | undefined;
    }
  /** A former version made it, and this one has it no more. */
  | { readonly action: "prune"; readonly manifest: AppliedObject; readonly path: string }
  /** An object of a former version that stays. `why` gives the reason. */
  | { readonly action: "leave"; readonly manifest: AppliedObject; readonly why: string }
  /** Another deployment has it. The plan is refused. */
  | { readonly action: "foreign"; readonly manifest: Manifest; readonly owner: string };

/** Objects that a cluster has for one deployment, such as the gateway. */
export interface OwnedManifests {
  /** Marks them, so that other deployments on the cluster neither change nor prune them. */
  readonly deployment: string;
  readonly manifests: readonly Manifest[];
}

export interface ApplyPlan {
  readonly changes: readonly PlannedChange[];
  readonly inventory: Inventory;
}

/**
 * Compares manifests with the cluster, by server-side apply as a dry run. Changes nothing. Throws `ApiRefused` if the
 * API server refuses an object, and an error that names the kinds that it does not know. Without `owned`, the objects
 * of deployments stay as they are.
 */
export async function planApply(
  client: Client,
  shared: readonly Manifest[],
  owned?: OwnedManifests,
): Promise<ApplyPlan> {
  const manifests = [...shared, ...markOwned(owned)];
  const findPath = objectPaths(client);
  const paths = await Promise.all(manifests.map(findPath));
  const unknown = manifests.filter((_, at) => paths[at] === undefined);
  if (unknown.length > 0) {
    const kinds = new Set(unknown.map(({ apiVersion, kind }) => `${kind} of ${apiVersion}`));
    throw new Error(
      `The API server does not know ${[...kinds].join(", ")}. Berth needs Kubernetes ${OLDEST_VERSION} or newer`,
    );
  }
  const inventory = await readInventory(client);
  const changes: PlannedChange[] = [];
  for (const [at, manifest] of manifests.entries()) {
    changes.push(await planObject(client, manifest, paths[at] ?? "", inventory.objects));
  }
  for (const former of inventory.objects) {
    if (manifests.some((manifest) => isSameObject(manifest, former))) continue;
    const planned = await planPrune(client, former, findPath, owned?.deployment);
    if (planned) changes.push(planned);
  }
  return { changes, inventory };
}

/** Returns objects of one deployment with the label that marks them. */
export function markOwned(owned: OwnedManifests | undefined): Manifest[] {
  return (owned?.manifests ?? []).map((manifest) => {
    const labels = { ...getLabels(manifest), [label.deployment]: owned?.deployment };
    return { ...manifest, metadata: { ...manifest.metadata, labels } };
  });
}

async function planObject(
  client: Client,
  manifest: Manifest,
  path: string,
  inventory: readonly AppliedObject[],
): Promise<PlannedChange> {
  const live = await client.find<Manifest>(path);
  if (live === undefined) return { action: "create", manifest, path };
  const owner = findOwner(live);
  if (owner !== undefined && owner !== findOwner(manifest)) return { action: "foreign", manifest, owner };
  const wanted = await client.apply<Manifest>(`${path}?dryRun=All`, manifest);
  const fields = compareObjects(live, wanted);
  // If the list was deleted, only the managed fields say who made the object.
  const madeBy = findFormer(inventory, live) ? undefined : findOtherManager(live);
  if (fields.length === 0) return { action: "keep", manifest, live, madeBy };
  return { action: "change", manifest, path, fields, madeBy };
}

function findFormer(inventory: readonly AppliedObject[], { metadata }: Manifest): AppliedObject | undefined {
  return inventory.find((each) => each.metadata.uid === metadata.uid);
}

/**
 * Makes the changes of a plan in their order, and prunes last. Objects made before a failure are in the inventory, so
 * the next attempt goes on there. Throws before the first change if another process has applied since the plan.
 */
export async function applyPlan(
  client: Pick<ApiClient, "find" | "apply" | "remove" | "create" | "patch">,
  { changes, inventory }: ApplyPlan,
  report: (done: PlannedChange) => void = () => undefined,
): Promise<void> {
  refuseForeign(changes);
  const { resourceVersion } = await readInventory(client);
  if (resourceVersion !== inventory.resourceVersion)
    throw new Error("Another cluster:apply ran after this plan was made. Nothing was applied: run it again");
  const applied: AppliedObject[] = [];
  const record = () => updateInventory(client, (objects) => [...withoutObjects(objects, applied), ...applied]);
  try {
    for (const change of changes) {
      if (change.action === "prune" || change.action === "leave" || change.action === "foreign") continue;
      const live = change.action === "keep" ? change.live : await client.apply<Manifest>(change.path, change.manifest);
      const isTaken = change.action !== "create" && change.madeBy !== undefined;
      const isAdopted = isTaken || findFormer(inventory.objects, live)?.isAdopted === true;
      applied.push({ ...toApplied(change.manifest, live), ...(isAdopted && { isAdopted }) });
      if (change.action !== "keep") report(change);
    }
  } catch (error) {
    // It fails too if the namespace of the inventory could not be made.
    await record().catch(() => undefined);
    throw error;
  }
  await record();
  const gone: string[] = [];
  for (const change of changes) {
    if (change.action !== "prune" && change.action !== "leave") continue;
    if (change.action === "prune") await client.remove(change.path, { uid: change.manifest.metadata.uid });
    gone.push(change.manifest.metadata.uid);
    report(change);
  }
  await updateInventory(client, (objects) => objects.filter((object) => !gone.includes(object.metadata.uid)));
}

function withoutObjects(objects: readonly AppliedObject[], others: readonly AppliedObject[]): AppliedObject[] {
  return objects.filter((object) => !others.some((other) => isSameObject(object, other)));
}

/** Throws if the plan wants objects of another deployment. */
export function refuseForeign(changes: readonly PlannedChange[]): void {
  const foreign = changes.filter((change) => change.action === "foreign");
  // Berth never labels an object that all stages share.
  const labelled = foreign.find(({ manifest }) => findOwner(manifest) === undefined);
  if (labelled) throw new Error(describeLabelled(labelled.manifest, labelled.owner));
  const owners = new Set(foreign.map(({ owner }) => owner));
  if (owners.size === 0) return;
  throw new Error(
    `These objects are of ${printableText([...owners].join(", "))}, and a cluster has them for one stage. To give them up, set ` +
      "ACCESS=none in that stage, deploy it, and run npm run cluster:apply for it. If it is gone, delete them. Nothing was applied",
  );
}

function describeLabelled(manifest: Manifest, owner: string): string {
  const { kind, metadata } = manifest;
  const place = metadata.namespace === undefined ? "" : ` -n ${metadata.namespace}`;
  return (
    `${formatObjectName(manifest)} has the label ${label.deployment}=${printableText(owner)}, but all stages on the cluster ` +
    `share it. Remove the label: kubectl${place} label ${kind.toLowerCase()} ${metadata.name} ${label.deployment}-. ` +
    "Nothing was applied"
  );
}
