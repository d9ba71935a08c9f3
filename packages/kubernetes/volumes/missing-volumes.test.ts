import { beforeEach, describe, expect, it } from "vitest";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused } from "../client/api-error.ts";
import type { Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import type { KubeEvent } from "../status/events.ts";
import type { Claim } from "./claim.ts";
import { missingVolumes, unmountedVolumes } from "./missing-volumes.ts";

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

const findMissing = (...pods: readonly Pod[]) => missingVolumes(getPlace(), () => now)(pods);
const findUnmounted = (...pods: readonly Pod[]) => unmountedVolumes(getPlace(), () => now)(pods);

function getPlace() {
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
  return { client: client as ApiClient, paths: buildPaths("environments"), deployment: "one" };
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

describe("a pod whose node does not have its volume yet", () => {
  const involvedObject = { name: "pod", uid: "pod" };
  const attach = 'AttachVolume.Attach failed for volume "berth-vol-1" : ';
  const onNode = (status = {}) => pod({ spec: { nodeName: "one" }, status });

  it.each([
    ["FailedAttachVolume", `${attach}rpc error: code = NotFound desc = no volume vol-1`, "attached", "no volume vol-1"],
    ["FailedMount", 'MountVolume.MountDevice failed for volume "pvc-1" : bad superblock', "mounted", "bad superblock"],
    [
      "FailedAttachVolume",
      `${attach}StatusCode: 400, RequestID: 1f-2a, api error X`,
      "attached",
      "StatusCode: 400, api error X",
    ],
    [
      "FailedAttachVolume",
      'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node',
      "attached",
      'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node',
    ],
  ])("says why, after %s", async (reason, message, verb, why) => {
    events = [said(reason, message, { involvedObject })];

    expect(await findUnmounted(onNode())).toBe(`Its volume could not be ${verb} yet: ${why}`);
    expect(names).toEqual(["list events"]);
  });

  it("says the newest reason", async () => {
    const later = { lastTimestamp: "2026-01-01T00:10:01Z", involvedObject };
    events = [said("FailedMount", "second", later), said("FailedAttachVolume", "first", { involvedObject })];

    expect(await findUnmounted(onNode())).toBe("Its volume could not be mounted yet: second");
  });

  it("gives no reason of another pod, of another kind, or from long ago", async () => {
    events = [
      said("FailedMount", "other pod", { involvedObject: { name: "pod", uid: "earlier" } }),
      said("FailedCreatePodSandBox", "no network", { involvedObject }),
      said("FailedMount", "old", { lastTimestamp: "2026-01-01T00:04:00Z", involvedObject }),
    ];

    expect(await findUnmounted(onNode())).toBeNull();
  });

  it.each([
    ["has its volumes", onNode({ conditions: [{ type: "PodReadyToStartContainers", status: "True" }] })],
    ["has no node", pod()],
    ["mounts no volume", pod({ spec: { nodeName: "one", volumes: [] } })],
    ["was made just now", pod({ spec: { nodeName: "one" }, createdAt: at })],
    ["has ended", onNode({ phase: "Failed" })],
  ])("is not asked about if it %s", async (_, seen) => {
    events = [said("FailedMount", "why", { involvedObject })];

    expect(await findUnmounted(seen)).toBeNull();
    expect(names).toEqual([]);
  });
});
