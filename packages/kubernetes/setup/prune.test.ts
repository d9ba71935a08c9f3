import { expect, test } from "vitest";
import { fieldManager } from "../client/api-client.ts";
import { label } from "../names.ts";
import { applyPlan, planApply } from "./apply.ts";
import type { Manifest } from "./manifests.ts";

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
async function applyNothing(live: Manifest) {
  const { name } = live.metadata;
  const listed = [{ ...live, metadata: { name, namespace: "berth-system", uid: "first" } }];
  const inventory = { ...settings("berth-applied"), data: { objects: JSON.stringify(listed) } };
  const objects = new Map([live, inventory].map((each) => [`${folder}/${each.metadata.name}`, each]));
  const removed: { path: string; uid: string | undefined }[] = [];
  const client = {
    get: async <Body>() => ({ resources: [{ name: "configmaps", kind: "ConfigMap", namespaced: true }] }) as Body,
    find: async <Body>(path: string) => objects.get(path) as Body | undefined,
    apply: async <Body>(_: string, body: object) => body as Body,
    remove: async (path: string, { uid }: { readonly uid: string | undefined }) => void removed.push({ path, uid }),
  };
  const plan = await planApply(client, [], { deployment: "berth-dev", manifests: [] });
  await applyPlan(client, plan);
  return { actions: plan.changes.map(({ action }) => action), removed };
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
