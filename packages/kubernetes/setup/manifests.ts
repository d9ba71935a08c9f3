import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";

/** Object of a YAML file. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  /** Undefined in a file. */
  readonly uid?: string;
  readonly [field: string]: unknown;
}

/** Fields of a kustomization that only lists files. */
const listing = ["apiVersion", "kind", "resources"];

/**
 * Returns the objects of a folder in the order of its kustomization.yaml, as `kubectl apply -k` would apply them. Throws
 * if the kustomization does more than list files, or if a file is not made of objects.
 */
export async function readManifests(folder: string): Promise<Manifest[]> {
  const kustomization = parse(await readFile(join(folder, "kustomization.yaml"), "utf8")) as Record<string, unknown>;
  const others = Object.keys(kustomization).filter((field) => !listing.includes(field));
  const { resources } = kustomization;
  if (others.length > 0 || !Array.isArray(resources)) {
    throw new Error(`${folder}/kustomization.yaml may only list files${others.map((field) => `, not set ${field}`)}`);
  }
  const files = await Promise.all(resources.map((file) => readFile(join(folder, String(file)), "utf8")));
  return files.flatMap((text, at) => parseManifests(text, `${folder}/${resources[at]}`));
}

function parseManifests(text: string, file: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [problem] = document.errors;
    if (problem) throw new Error(`${file}: ${problem.message}`);
    const object = document.toJS() as Partial<Manifest> | null;
    if (!object?.apiVersion || !object.kind || !object.metadata?.name) {
      throw new Error(`${file}: each document needs apiVersion, kind and metadata.name`);
    }
    return object as Manifest;
  });
}

/**
 * Returns the objects of both, where those of `overlay` replace the same ones of `base`. Its own come first, since a
 * policy must hold before an object that relies on it.
 */
export function overlayManifests(base: readonly Manifest[], overlay: readonly Manifest[]): Manifest[] {
  const isNew = (object: Manifest) => !base.some((one) => isSameObject(one, object));
  return [...overlay.filter(isNew), ...base.map((one) => overlay.find((other) => isSameObject(one, other)) ?? one)];
}

/** Returns a name for people, such as `Role berth-environments/berth`. */
export function formatObjectName({ kind, metadata: { name, namespace } }: Pick<Manifest, "kind" | "metadata">): string {
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

/** Reports whether both name the same object. Its API version may change. */
export function isSameObject(one: Pick<Manifest, "apiVersion" | "kind" | "metadata">, other: typeof one): boolean {
  return (
    getGroup(one) === getGroup(other) &&
    one.kind === other.kind &&
    one.metadata.name === other.metadata.name &&
    one.metadata.namespace === other.metadata.namespace
  );
}

/** Returns an empty group for `v1`. */
function getGroup({ apiVersion }: { readonly apiVersion: string }): string {
  return apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
}
