import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { KubeClient, KubeObject } from "./client.ts";

/** Object of a YAML file, with the fields that are needed to apply it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly yaml: string;
}

/** Returns the files that a kustomization names, in its order, and all manifests beside it. */
export async function kustomizedFiles(folder: string): Promise<{ named: string[]; there: string[] }> {
  const text = await readFile(join(folder, "kustomization.yaml"), "utf8");
  const named = [...text.matchAll(/^ {2}- (\S+\.yaml)$/gm)].map(([, file]) => file ?? "");
  const there = (await readdir(folder)).filter((file) => file.endsWith(".yaml") && file !== "kustomization.yaml");
  return { named, there };
}

/** Returns what `kubectl apply -k` would apply, for a kustomization that only lists files. */
export async function readManifests(folder: string): Promise<Manifest[]> {
  const { named } = await kustomizedFiles(folder);
  const files = await Promise.all(named.map((file) => readFile(join(folder, file), "utf8")));
  return files.flatMap((text) => text.split(/^---$/m)).map(getManifest);
}

/** Applies manifests in order, at the paths that API discovery gives. Throws if one is refused. */
export async function applyManifests(client: KubeClient, manifests: readonly Manifest[]): Promise<KubeObject[]> {
  const applied: KubeObject[] = [];
  for (const manifest of manifests) {
    const { status, body } = await client.apply(await formatPath(client, manifest), manifest.yaml);
    if (status >= 300) throw new Error(`${manifest.kind} ${manifest.name}: ${status} ${JSON.stringify(body)}`);
    applied.push(body);
  }
  return applied;
}

function getManifest(yaml: string): Manifest {
  const value = (pattern: RegExp) => pattern.exec(yaml)?.[1];
  const [apiVersion, kind, name] = [
    value(/^apiVersion: (\S+)$/m),
    value(/^kind: (\S+)$/m),
    value(/^ {2}name: (\S+)$/m),
  ];
  if (!apiVersion || !kind || !name) throw new Error(`The YAML is not an object of Kubernetes: ${yaml}`);
  return { apiVersion, kind, name, namespace: value(/^ {2}namespace: (\S+)$/m), yaml };
}

async function formatPath(client: KubeClient, { apiVersion, kind, name, namespace }: Manifest): Promise<string> {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { body } = await client.get<{ resources: { name: string; kind: string; namespaced: boolean }[] }>(group);
  const resource = body.resources.find(
    (knownResource) => knownResource.kind === kind && !knownResource.name.includes("/"),
  );
  if (!resource) throw new Error(`The API server knows no ${kind} of ${apiVersion}`);
  if (resource.namespaced !== (namespace !== undefined)) throw new Error(`${kind} ${name}: namespace ${namespace}`);
  return `${group}${resource.namespaced ? `/namespaces/${namespace}` : ""}/${resource.name}/${name}`;
}
