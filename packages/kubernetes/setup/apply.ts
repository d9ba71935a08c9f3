import { type ApiClient, fieldManager } from "../client/api-client.ts";
import { label } from "../names.ts";
import { type AppliedObject, readInventory, toApplied, writeInventory } from "./inventory.ts";
import { isSameObject, type Manifest } from "./manifests.ts";
import { compareObjects, type FieldChange } from "./object-changes.ts";
import { objectPaths } from "./object-paths.ts";
import { OLDEST_VERSION } from "./server-version.ts";

type Client = Pick<ApiClient, "get" | "find" | "apply" | "remove">;

/** What would happen to an object. */
export type PlannedChange =
  | { readonly action: "create"; readonly manifest: Manifest; readonly path: string }
  | { readonly action: "keep"; readonly manifest: Manifest; readonly live: Manifest }
  | {
      readonly action: "change";
      readonly manifest: Manifest;
      readonly path: string;
      readonly fields: readonly FieldChange[];
      /** Who made it, if Berth did not. */
      readonly madeBy: string | undefined;
    }
  /** A former version made it, and this one has it no more. */
  | { readonly action: "prune"; readonly manifest: AppliedObject; readonly path: string }
  /** A former object that stays, because somebody else replaced it, or its contents cannot be made again. */
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
  readonly inventory: readonly AppliedObject[];
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
    changes.push(await planObject(client, manifest, paths[at] ?? "", inventory));
  }
  for (const former of inventory) {
    if (manifests.some((manifest) => isSameObject(manifest, former))) continue;
    const planned = await planPrune(client, former, await findPath(former), owned?.deployment);
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

function getLabels({ metadata }: Manifest): Readonly<Record<string, string>> {
  return (metadata.labels ?? {}) as Readonly<Record<string, string>>;
}

/** Returns the deployment of an object. `kubectl` may have applied a gateway's settings, without the label. */
function findOwner(object: Manifest): string | undefined {
  return getLabels(object)[label.deployment] ?? (object.data as { TABLE_NAME?: string } | undefined)?.TABLE_NAME;
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
  if (fields.length === 0) return { action: "keep", manifest, live };
  const madeBy = findFormer(inventory, live) || isApplied(live) ? undefined : findManager(live);
  return { action: "change", manifest, path, fields, madeBy };
}

function findFormer(inventory: readonly AppliedObject[], { metadata }: Manifest): AppliedObject | undefined {
  return inventory.find((each) => each.metadata.uid === metadata.uid);
}

async function planPrune(
  client: Client,
  former: AppliedObject,
  path: string | undefined,
  deployment: string | undefined,
): Promise<PlannedChange | undefined> {
  // Its kind has left the cluster, and the object with it.
  if (path === undefined) return undefined;
  const live = await client.find<Manifest>(path);
  if (live === undefined) return undefined;
  const leave = (why: string) => ({ action: "leave" as const, manifest: former, why });
  if (live.metadata.uid !== former.metadata.uid) return leave("somebody deleted it and made another of this name");
  const owner = findOwner(live);
  if (owner !== undefined && owner !== deployment) return undefined;
  if (former.kind === "Namespace") return leave("everything in it would be deleted; delete it yourself");
  if (former.kind === "Secret") return leave("its keys cannot be made again; delete it yourself");
  if (!isApplied(live)) return leave("Berth did not apply it");
  if (former.isAdopted) return leave("it was there before Berth; delete it yourself if nothing else needs it");
  return { action: "prune", manifest: former, path };
}

/** Reports whether this client has applied the object: a list of objects alone could name any. */
function isApplied(object: Manifest): boolean {
  return listManagers(object).some(({ manager, operation }) => manager === fieldManager && operation === "Apply");
}

function findManager(object: Manifest): string {
  return listManagers(object)[0]?.manager ?? "somebody";
}

function listManagers({ metadata }: Manifest): readonly { manager?: string; operation?: string }[] {
  return (metadata.managedFields ?? []) as readonly { manager?: string; operation?: string }[];
}

/**
 * Makes the changes of a plan in their order, and prunes last. Objects made before a failure are in the inventory, so
 * the next attempt goes on there.
 */
export async function applyPlan(
  client: Client,
  { changes, inventory }: ApplyPlan,
  report: (done: PlannedChange) => void = () => undefined,
): Promise<void> {
  refuseForeign(changes);
  let applied = inventory;
  const without = (object: AppliedObject) => applied.filter((one) => !isSameObject(one, object));
  try {
    for (const change of changes) {
      if (change.action === "prune" || change.action === "leave" || change.action === "foreign") continue;
      const live = change.action === "keep" ? change.live : await client.apply<Manifest>(change.path, change.manifest);
      const isTaken = change.action === "change" && change.madeBy !== undefined;
      const isAdopted = isTaken || findFormer(applied, live)?.isAdopted === true;
      const object = { ...toApplied(change.manifest, live), ...(isAdopted && { isAdopted }) };
      applied = [...without(object), object];
      if (change.action !== "keep") report(change);
    }
  } catch (error) {
    // It fails too if the namespace of the inventory could not be made.
    await writeInventory(client, applied).catch(() => undefined);
    throw error;
  }
  await writeInventory(client, applied);
  for (const change of changes) {
    if (change.action !== "prune" && change.action !== "leave") continue;
    if (change.action === "prune") await client.remove(change.path, { uid: change.manifest.metadata.uid });
    applied = without(change.manifest);
    report(change);
  }
  await writeInventory(client, applied);
}

/** Throws if the plan wants objects of another deployment. */
export function refuseForeign(changes: readonly PlannedChange[]): void {
  const owners = new Set(changes.flatMap((change) => (change.action === "foreign" ? [change.owner] : [])));
  if (owners.size === 0) return;
  throw new Error(
    `These objects are of ${[...owners].join(", ")}, and a cluster has them for one stage. To give them up, set ` +
      "ACCESS=none in that stage, deploy it, and run npm run cluster:apply for it. Nothing was applied",
  );
}
