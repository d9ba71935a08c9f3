import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { formatObjectName, readManifests } from "./manifests.ts";

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-manifests-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
  return folder;
}

it("the objects of deploy/kubernetes are those of all of its files, the namespaces first", async () => {
  const folder = fileURLToPath(new URL("../../../deploy/kubernetes", import.meta.url));
  const names = (await readManifests(folder)).map(formatObjectName);

  const files = (await readdir(folder)).filter((file) => file.endsWith(".yaml"));
  expect(names.slice(0, 2)).toEqual(["Namespace berth-environments", "Namespace berth-system"]);
  expect(names).toContain("PodDisruptionBudget berth-environments/berth-environments");
  expect(names.length).toBeGreaterThanOrEqual(files.length);
});

it("a kustomization that does more than list files is refused, since that would be left out", async () => {
  const folder = await folderOf({ "kustomization.yaml": "resources: []\npatches: []\n" });

  await expect(readManifests(folder)).rejects.toThrow("may only list files, not set patches");
});

it("a document that is no object, or no YAML, is refused with its file", async () => {
  const [noObject, noYaml] = await Promise.all([
    folderOf({ "kustomization.yaml": "resources: [a.yaml]", "a.yaml": "kind: Role\n" }),
    folderOf({ "kustomization.yaml": "resources: [a.yaml]", "a.yaml": "a: [\n" }),
  ]);

  await expect(readManifests(noObject)).rejects.toThrow(
    "a.yaml: each document needs apiVersion, kind and metadata.name",
  );
  await expect(readManifests(noYaml)).rejects.toThrow("a.yaml: ");
});
