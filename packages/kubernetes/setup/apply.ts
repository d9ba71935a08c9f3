import { type ApiClient, fieldManager } from "../client/api-client.ts";
import { ApiRefused } from "../client/api-error.ts";
import { type AppliedObject, readInventory, toApplied, writeInventory } from "./inventory.ts";
import { formatObjectName, isSameObject, type Manifest } from "./manifests.ts";
import { compareObjects, type FieldChange } from "./object-changes.ts";
import { objectPaths } from "./object-paths.ts";

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
    }
  /** A former version made it, and this one has it no more. */
  | { readonly action: "prune"; readonly manifest: AppliedObject; readonly path: string }
  /** As above, but it stays: somebody else replaced it, or it is a namespace, whose end would be that of its objects. */
  | { readonly action: "leave"; readonly manifest: AppliedObject; readonly why: string };

export interface ApplyPlan {
  readonly changes: readonly PlannedChange[];
  readonly inventory: readonly AppliedObject[];
}

/**
 * Compares manifests with the cluster, by server-side apply as a dry run. Changes nothing. Throws `ApiRefused` if the
 * API server refuses an object, and an error that names the kinds that it does not know.
 */
export async function planApply(client: Client, manifests: readonly Manifest[]): Promise<ApplyPlan> {
  const findPath = objectPaths(client);
  const paths = await Promise.all(manifests.map(findPath));
  const unknown = manifests.filter((_, at) => paths[at] === undefined);
  if (unknown.length > 0) {
    const kinds = new Set(unknown.map(({ apiVersion, kind }) => `${kind} of ${apiVersion}`));
    throw new Error(`The API server does not know ${[...kinds].join(", ")}. Berth needs Kubernetes 1.30 or newer`);
  }
  const inventory = await readInventory(client);
  const changes: PlannedChange[] = [];
  for (const [at, manifest] of manifests.entries()) {
    changes.push(await planObject(client, manifest, paths[at] ?? ""));
  }
  for (const former of inventory) {
    if (manifests.some((manifest) => isSameObject(manifest, former))) continue;
    const planned = await planPrune(client, former, await findPath(former));
    if (planned) changes.push(planned);
  }
  return { changes, inventory };
}

async function planObject(client: Client, manifest: Manifest, path: string): Promise<PlannedChange> {
  const live = await client.find<Manifest>(path);
  if (live === undefined) return { action: "create", manifest, path };
  const wanted = await client.apply<Manifest>(`${path}?dryRun=All`, manifest);
  const fields = compareObjects(live, wanted);
  return fields.length === 0 ? { action: "keep", manifest, live } : { action: "change", manifest, path, fields };
}

async function planPrune(
  client: Client,
  former: AppliedObject,
  path: string | undefined,
): Promise<PlannedChange | undefined> {
  // Its kind has left the cluster, and the object with it.
  if (path === undefined) return undefined;
  const live = await client.find<Manifest>(path);
  if (live === undefined) return undefined;
  const leave = (why: string) => ({ action: "leave" as const, manifest: former, why });
  if (live.metadata.uid !== former.metadata.uid) return leave("somebody deleted it and made another of this name");
  if (former.kind === "Namespace") return leave("everything in it would be deleted; delete it yourself");
  if (!isApplied(live)) return leave("Berth did not apply it");
  return { action: "prune", manifest: former, path };
}

/** Reports whether this client has applied the object: a list of objects alone could name any. */
function isApplied({ metadata }: Manifest): boolean {
  const managers = metadata.managedFields as readonly { manager?: string; operation?: string }[] | undefined;
  return managers?.some(({ manager, operation }) => manager === fieldManager && operation === "Apply") ?? false;
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
  let applied = inventory;
  const without = (object: AppliedObject) => applied.filter((one) => !isSameObject(one, object));
  try {
    for (const change of changes) {
      if (change.action === "prune" || change.action === "leave") continue;
      const live = change.action === "keep" ? change.live : await client.apply<Manifest>(change.path, change.manifest);
      const object = toApplied(change.manifest, live);
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

/** Returns words for an error of a plan or of its application, with what to do. */
export function describeApplyError(error: unknown): string {
  if (!(error instanceof ApiRefused)) return error instanceof Error ? error.message : String(error);
  const { status, said } = error;
  if (status === 401) return "The cluster does not know these credentials. On EKS, they need an access entry";
  if (status === 403) {
    return `These credentials may not do that: ${said}. On EKS, their access entry needs AmazonEKSClusterAdminPolicy`;
  }
  return `The API server refuses ${error.message}: ${said}`;
}

/** Lines of a plan for people, without the objects that stay as they are. */
export function formatPlan(changes: readonly PlannedChange[]): string[] {
  const kept = changes.filter(({ action }) => action === "keep").length;
  const lines = changes.flatMap((change) => {
    const name = formatObjectName(change.manifest);
    if (change.action === "keep") return [];
    if (change.action === "create") return [`+ ${name}`];
    if (change.action === "prune") return [`- ${name}: of a former version`];
    if (change.action === "leave") return [`! ${name} of a former version stays: ${change.why}`];
    return [`~ ${name}`, ...change.fields.map(formatFieldChange)];
  });
  return [...lines, ...(kept === 0 ? [] : [`= ${kept} ${kept === 1 ? "object is" : "objects are"} as wanted`])];
}

const longestValue = 200;

function formatFieldChange({ field, from, to }: FieldChange): string {
  const [before, after] = [from, to].map((value) => {
    if (value === undefined) return "none";
    return value.length > longestValue ? `${value.slice(0, longestValue)}…` : value;
  });
  return `    ${field}: ${before} → ${after}`;
}
