import { expect, it } from "vitest";
import { type PlannedChange, refuseForeign } from "./apply.ts";
import type { Manifest } from "./manifests.ts";

const role = (labels?: object): Manifest => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name: "berth", namespace: "berth-environments", ...(labels && { labels }) },
});
const foreign = (manifest: Manifest, owner: string): PlannedChange => ({ action: "foreign", manifest, owner });
const ofStage = { "berth/deployment": "berth-dev" };

it("a shared object with the label of one stage is refused with the command that removes the label", () => {
  expect(() => refuseForeign([foreign(role(), "\u001b[2Jberth-a")])).toThrow(
    "Role berth-environments/berth has the label berth/deployment= [2Jberth-a, but all stages on the cluster share it. " +
      "Remove the label: kubectl -n berth-environments label role berth berth/deployment-. Nothing was applied",
  );
});

it("the refusal of another stage's object says how that stage gives it up, and what to do if it is gone", () => {
  const changes = [foreign(role(ofStage), "berth-a"), foreign(role(ofStage), "berth-b")];

  expect(() => refuseForeign(changes)).toThrow(
    "These objects are of berth-a, berth-b, and a cluster has them for one stage. To give them up, set ACCESS=none in that " +
      "stage, deploy it, and run npm run cluster:apply for it. If it is gone, delete them. Nothing was applied",
  );
});
