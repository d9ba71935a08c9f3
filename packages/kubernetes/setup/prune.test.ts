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
  const client = {
    get: async <Body>() => ({ resources: [{ name: "configmaps", kind: "ConfigMap", namespaced: true }] }) as Body,
    find: async <Body>(path: string) => objects.get(path) as Body | undefined,
    apply: async <Body>(path: string, body: object) => {
      const applied = body as Manifest & { readonly data?: { readonly objects?: string } };
      if (path.endsWith("/berth-applied")) inventory = applied.data?.objects ?? "";
      const name = applied.metadata.name;
      return {
        ...applied,
        metadata: { ...applied.metadata, uid: objects.get(`${folder}/${name}`)?.metadata.uid },
      } as Body;
    },
    remove: async (path: string, { uid }: { readonly uid: string | undefined }) => void removed.push({ path, uid }),
  };
  const plan = await planApply(client, wanted, { deployment: "berth-dev", manifests: [] });
  await applyPlan(client, plan);
  return { plan, removed, inventory };
}

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
