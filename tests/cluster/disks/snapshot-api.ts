import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "../client.ts";
import { must } from "../objects.ts";

const snapshotGroup = "snapshot.storage.k8s.io";
export const snapshotPath = `/apis/${snapshotGroup}/v1`;

const text = { type: "string" };
const words = { type: "object", additionalProperties: text };
const time = { type: "string", format: "date-time" };
const error = { type: "object", properties: { time, message: text } };

/** Fields of the three kinds that a driver and its controller use. The API server drops all others. */
const kinds = [
  {
    kind: "VolumeSnapshotClass",
    plural: "volumesnapshotclasses",
    scope: "Cluster",
    properties: { driver: text, deletionPolicy: { type: "string", enum: ["Delete", "Retain"] }, parameters: words },
  },
  {
    kind: "VolumeSnapshotContent",
    plural: "volumesnapshotcontents",
    scope: "Cluster",
    properties: {
      spec: {
        type: "object",
        properties: {
          driver: text,
          deletionPolicy: text,
          volumeSnapshotClassName: text,
          source: { type: "object", properties: { volumeHandle: text } },
          volumeSnapshotRef: { type: "object", properties: { namespace: text, name: text, uid: text } },
        },
      },
      status: { type: "object", properties: { snapshotHandle: text, readyToUse: { type: "boolean" } } },
    },
  },
  {
    kind: "VolumeSnapshot",
    plural: "volumesnapshots",
    scope: "Namespaced",
    properties: {
      spec: {
        type: "object",
        required: ["source"],
        properties: {
          volumeSnapshotClassName: text,
          source: { type: "object", properties: { persistentVolumeClaimName: text, volumeSnapshotContentName: text } },
        },
      },
      status: {
        type: "object",
        properties: {
          boundVolumeSnapshotContentName: text,
          creationTime: time,
          readyToUse: { type: "boolean" },
          restoreSize: text,
          error,
        },
      },
    },
  },
] as const;

/** Installs the snapshot API, which Kubernetes does not include. Returns once it is served. */
export async function installSnapshotApi(client: KubeClient): Promise<void> {
  for (const { kind, plural, scope, properties } of kinds) {
    const name = `${plural}.${snapshotGroup}`;
    const schema = { openAPIV3Schema: { type: "object", properties } };
    const hasStatus = "status" in properties;
    must(
      await client.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        // Every group of that domain needs this annotation.
        metadata: { name, annotations: { "api-approved.kubernetes.io": "unapproved, for tests" } },
        spec: {
          group: snapshotGroup,
          scope,
          names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
          versions: [
            { name: "v1", served: true, storage: true, schema, ...(hasStatus ? { subresources: { status: {} } } : {}) },
          ],
        },
      }),
    );
    while ((await client.get(`${snapshotPath}/${plural}`)).status !== 200) await sleep(25);
  }
}
