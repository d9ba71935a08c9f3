import { beforeEach, describe, expect, it } from "vitest";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused } from "../client/api-error.ts";
import type { Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import type { KubeEvent } from "../status/events.ts";
import type { Claim } from "./claim.ts";
import { missingVolumes } from "./missing-volumes.ts";

const at = "2026-01-01T00:10:00Z";
const now = Date.parse(at) + 1_000;
const unbound: Claim = {
  metadata: { name: "volume-a", uid: "claim-1", resourceVersion: "1", creationTimestamp: at },
  spec: {},
};
let claim: Claim | ApiRefused;
let events: readonly KubeEvent[];
let names: string[];

beforeEach(() => {
  names = [];
  claim = unbound;
  events = [said("ProvisioningFailed", "no more volumes")];
});

/** Event about the claim that the pod mounts. */
function said(reason: string, message: string, more: Partial<KubeEvent> = {}): KubeEvent {
  const metadata = { name: "event", uid: "event", resourceVersion: "1", creationTimestamp: at };
  return {
    metadata,
    reason,
    message,
    lastTimestamp: at,
    involvedObject: { name: "volume-a", uid: "claim-1" },
    ...more,
  };
}

const scheduled = (message: string) => ({
  phase: "Pending" as const,
  conditions: [{ type: "PodScheduled", status: "False", message }],
});

function pod({ spec = {}, status = {}, createdAt = "2026-01-01T00:09:00Z" } = {}): Pod {
  return {
    metadata: { name: "pod", uid: "pod", resourceVersion: "1", creationTimestamp: createdAt },
    spec: { volumes: [{ persistentVolumeClaim: { claimName: "volume-a" } }], ...spec },
    status: { phase: "Pending", ...status },
  };
}

function findMissing(...pods: readonly Pod[]): Promise<string | null> {
  const client: Partial<ApiClient> = {
    find: async <Body>() => {
      names.push("find claim");
      if (claim instanceof ApiRefused) throw claim;
      return claim as Body;
    },
    list: async <Item, Kept>(_: string, keep: (item: Item) => readonly Kept[]) => {
      names.push("list events");
      return { items: events.flatMap((event) => keep(event as Item)), resourceVersion: "1" };
    },
  };
  const place = { client: client as ApiClient, paths: buildPaths("environments"), deployment: "one" };
  return missingVolumes(place, () => now)(pods);
}

const words = "Its volume could not be created: no more volumes";

describe("a pod that waits for a volume", () => {
  it("says why it could not be created, with two calls", async () => {
    expect(await findMissing(pod())).toBe(words);
    expect(names).toEqual(["list events", "find claim"]);
  });

  it("shows that before the scheduler's reason", async () => {
    const status = scheduled("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.");

    expect(await findMissing(pod({ status }))).toBe(words);
  });

  it("shows that no storage class would create it", async () => {
    events = [said("FailedBinding", "no persistent volumes available for this claim and no storage class is set")];

    expect(await findMissing(pod())).toMatch(/^Its volume could not be created: no persistent volumes available/);
  });

  it("shows the same text at each attempt, although each has its own id", async () => {
    events = [
      said("ProvisioningFailed", "rpc error: code = Internal desc = StatusCode: 403, RequestID: 1f-2a, api error X"),
    ];

    expect(await findMissing(pod())).toBe("Its volume could not be created: StatusCode: 403, api error X");
  });

  it("names the provisioner if nothing keeps it from every node", async () => {
    events = [said("ExternalProvisioning", "Waiting for a volume ... the external provisioner 'ebs.csi.aws.com' or")];
    const full = scheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.");

    expect(await findMissing(pod())).toBe("Its volume is not made yet by the provisioner ebs.csi.aws.com");
    expect(await findMissing(pod({ status: full }))).toBeNull();
  });

  it("shows why an attempt failed even if the cluster has reported a wait since", async () => {
    const later = { lastTimestamp: "2026-01-01T00:10:01Z" };
    events = [...events, said("ExternalProvisioning", "by the external provisioner 'ebs.csi.aws.com'", later)];

    expect(await findMissing(pod())).toBe(words);
  });
});

describe("no reason is given for a volume", () => {
  it("that was created since", async () => {
    claim = { ...unbound, spec: { volumeName: "pvc-1" } };

    expect(await findMissing(pod())).toBeNull();
  });

  it("whose claim cannot be read", async () => {
    claim = new ApiRefused("GET /persistentvolumeclaims/volume-a", 403, { reason: "Forbidden" });

    expect(await findMissing(pod())).toBeNull();
  });

  it("because of another claim of that name", async () => {
    events = [said("ProvisioningFailed", "no", { involvedObject: { name: "volume-a", uid: "claim-0" } })];

    expect(await findMissing(pod())).toBeNull();
  });

  it("because of an outdated event", async () => {
    events = [said("ProvisioningFailed", "no", { lastTimestamp: "2026-01-01T00:00:00Z" })];

    expect(await findMissing(pod())).toBeNull();
    expect(names).toEqual(["list events"]);
  });

  it.each([
    ["that its pod has", { spec: { nodeName: "one" } }],
    ["whose pod was made just now", { createdAt: at }],
    ["if the pod mounts no volume", { spec: { volumes: [] } }],
  ])("%s, without a call", async (_, shape) => {
    expect(await findMissing(pod(shape))).toBeNull();
    expect(names).toEqual([]);
  });
});
