import { expect, test } from "vitest";
import { fieldManager } from "../client/api-client.ts";
import { label } from "../names.ts";
import { applyPlan, planApply } from "./apply.ts";
import type { Manifest } from "./manifests.ts";
import { formatPlan } from "./plan-lines.ts";

const folder = "/api/v1/namespaces/berth-system/configmaps";
const settings = (name: string, more: object = {}): Manifest => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name,
    namespace: "berth-system",
    uid: "first",
    managedFields: [{ manager: fieldManager, operation: "Apply" }],
    ...more,
  },
});

/** Applies no object to a cluster that has `live`, and on whose list of applied objects it is. */
async function applyNothing(live: Manifest, more: object = {}) {
  const { name } = live.metadata;
  const listed = [{ ...live, ...more, metadata: { name, namespace: "berth-system", uid: "first" } }];
  const { plan, removed } = await applyTo([live, listInventory(listed)], []);
  return { actions: plan.changes.map(({ action }) => action), removed };
}

const listInventory = (listed: readonly object[]) => {
  return { ...settings("berth-applied"), data: { objects: JSON.stringify(listed) } };
};

/** Applies these objects to a cluster that has others. */
async function applyTo(live: readonly Manifest[], wanted: readonly Manifest[]) {
  const objects = new Map(live.map((each) => [`${folder}/${each.metadata.name}`, each]));
  const removed: { path: string; uid: string | undefined }[] = [];
  let inventory = "";
  const keep = async <Body>(_: string, { data }: { readonly data?: { readonly objects?: string } }) => {
    inventory = data?.objects ?? "";
    objects.set(`${folder}/berth-applied`, { ...settings("berth-applied"), data });
    return {} as Body;
  };
  const client = {
    get: async <Body>() => ({ resources: kinds }) as Body,
    find: async <Body>(path: string) => objects.get(path) as Body | undefined,
    apply: async <Body>(_: string, body: object) => {
      const { metadata, ...applied } = body as Manifest;
      const uid = objects.get(`${folder}/${metadata.name}`)?.metadata.uid;
      return { ...applied, metadata: { ...metadata, uid } } as Body;
    },
    create: keep,
    patch: keep,
    remove: async (path: string, { uid }: { readonly uid: string | undefined }) => void removed.push({ path, uid }),
  };
  const plan = await planApply(client, wanted, { deployment: "berth-dev", manifests: [] });
  await applyPlan(client, plan);
  return { plan, removed, inventory };
}

const kinds = [
  { name: "configmaps", kind: "ConfigMap", namespaced: true },
  // Of a test, so that an object of each kind is at the same path.
  ...["Secret", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition"].map((kind) => ({
    name: "configmaps",
    kind,
    namespaced: true,
  })),
];

test("an object of a former version is deleted, unless another one takes its place before that", async () => {
  expect(await applyNothing(settings("former"))).toEqual({
    actions: ["prune"],
    removed: [{ path: `${folder}/former`, uid: "first" }],
  });
});

test("an object that replaced the listed one stays, although Berth applied it", async () => {
  expect(await applyNothing(settings("former", { uid: "second" }))).toEqual({ actions: ["leave"], removed: [] });
});

test("an object that is on the list but that another client applied stays", async () => {
  const foreign = [
    { manager: "kubectl", operation: "Apply" },
    { manager: fieldManager, operation: "Update" },
  ];

  expect(await applyNothing(settings("former", { managedFields: foreign }))).toEqual({
    actions: ["leave"],
    removed: [],
  });
});

test("an object of another deployment on the cluster stays", async () => {
  const labels = { [label.deployment]: "berth-other" };

  expect(await applyNothing(settings("former", { labels }))).toEqual({ actions: [], removed: [] });
});

test("an object of another client that this version takes over is told, and stays when a later version lacks it", async () => {
  const helm = [{ manager: "helm", operation: "Update" }];
  const live = settings("shared", { managedFields: helm, labels: { chart: "one" } });
  const wanted = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "shared", namespace: "berth-system" } };

  const { plan, inventory } = await applyTo([live], [wanted]);
  const [listed] = JSON.parse(inventory);
  const later = await applyNothing(settings("shared"), { isAdopted: listed.isAdopted });

  expect(formatPlan(plan.changes)[0]).toBe("~ ConfigMap berth-system/shared, which helm made");
  expect(listed).toMatchObject({ isAdopted: true, metadata: { name: "shared", uid: "first" } });
  expect(later).toEqual({ actions: ["leave"], removed: [] });
});

/** Applies an object that already is as wanted. Returns whether the list says that another client made it. */
async function isListedAsAdopted(managedFields: readonly object[]): Promise<boolean> {
  const wanted = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "shared", namespace: "berth-system" } };
  const { plan, inventory } = await applyTo([settings("shared", { managedFields })], [wanted]);
  expect(plan.changes.map(({ action }) => action)).toEqual(["keep"]);
  return JSON.parse(inventory)[0].isAdopted === true;
}

test("an unchanged object of another client is listed as adopted, so no later version deletes it", async () => {
  expect(await isListedAsAdopted([{ manager: "helm", operation: "Update" }])).toBe(true);
});

test("an object that another client made stays adopted after the list of applied objects was deleted", async () => {
  const [ours, helm] = [settings("any").metadata.managedFields, [{ manager: "helm", operation: "Update" }]];
  const status = [{ manager: "kube-controller-manager", operation: "Update", subresource: "status" }];

  expect(await isListedAsAdopted([...helm, ...(ours as object[])])).toBe(true);
  expect(await isListedAsAdopted([...status, ...(ours as object[])])).toBe(false);
});

test.each(["Secret", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition"])(
  "a listed %s stays, although Berth applied it",
  async (kind) => {
    expect(await applyNothing(settings("former"), { kind })).toEqual({ actions: ["leave"], removed: [] });
  },
);

test("a listed object of a job stays, although Berth's functions applied it", async () => {
  const labels = { [label.deployment]: "berth-dev", [label.uid]: "a".repeat(32) };

  expect(await applyNothing(settings("former", { labels }))).toEqual({ actions: ["leave"], removed: [] });
});

test("a listed object without the namespace of its kind stays, and the others are applied", async () => {
  const listed = { ...settings("former"), metadata: { name: "former", uid: "first" } };

  const { plan, removed } = await applyTo([settings("former"), listInventory([listed])], []);

  expect(formatPlan(plan.changes)).toEqual([
    "! ConfigMap former of a former version stays: ConfigMap former needs a namespace",
  ]);
  expect(removed).toEqual([]);
});

test.each([
  { apiVersion: "v1/../../apis/apps/v1" },
  { apiVersion: "V1" },
  { apiVersion: "" },
  { apiVersion: 1 },
  { kind: "ConfigMap?dryRun=All" },
  { kind: ["ConfigMap"] },
  { metadata: { name: "..", namespace: "berth-system", uid: "first" } },
  { metadata: { name: "former", namespace: "../default", uid: "first" } },
  { metadata: { name: "former", namespace: null, uid: "first" } },
  { metadata: { name: "former", namespace: "berth-system" } },
  { metadata: null },
])("a list with the odd object %j is refused as a whole, and nothing is pruned", async (odd) => {
  const listed = { ...settings("former"), ...odd };

  await expect(applyTo([settings("former"), listInventory([listed])], [])).rejects.toThrow(
    "ConfigMap berth-system/berth-applied is unreadable. Delete it: then this version prunes nothing",
  );
});
