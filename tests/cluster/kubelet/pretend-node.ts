import { findInstanceType } from "#core/fleet.ts";
import { KUBERNETES_VERSION } from "../binary.ts";
import type { KubeClient, KubeObject } from "../client.ts";
import { now } from "../container/container.ts";

export interface NodeOptions {
  readonly name: string;
  /** EC2 instance type that Berth knows, with its GPUs, processors and memory. */
  readonly instanceType: string;
  readonly zone?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Node without a cloud: it has no instance type, zone or provider. */
  readonly isBare?: boolean;
  /** Node whose device plugin has not registered yet: it reports no GPUs. */
  readonly hasNoDevices?: boolean;
}

/** Node that exists only as an object, a lease and an address. */
export interface PretendNode {
  readonly name: string;
  readonly isAlive: boolean;
  /** Ends its heartbeats. Its pods run on, out of reach. */
  lose(): void;
  /** Brings the node back, which then reports what has happened. */
  recover(): Promise<void>;
  /** Removes the object, as after the termination of its machine. */
  remove(): Promise<void>;
  /** Takes the present object from the API server. */
  seen(node: NodeObject): void;
  stopBeating(): void;
}

export interface NodeObject extends KubeObject {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

export interface NodePlace {
  readonly client: KubeClient;
  readonly kubeletPort: number;
  readonly graceSeconds: number;
  recovered(): void;
}

/**
 * Heartbeats for which a kubelet goes on reporting that it and its pods are ready. Controllers that had given up the
 * node mark its pods for a moment after it is back.
 */
const BEATS_UNTIL_SURE = 20;

const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/** Adds a node that is ready from the start. */
export async function addPretendNode(options: NodeOptions, place: NodePlace): Promise<PretendNode> {
  const { client, graceSeconds } = place;
  const { name } = options;
  await must(client.post("/api/v1/nodes", nodeObject(options, place.kubeletPort)));
  await must(client.post(leases, { metadata: { name }, spec: leaseSpec(name, graceSeconds) }));
  let isAlive = true;
  let unsureBeats = 0;
  let isSeenReady = true;
  let renewedAt = performance.now();
  const beatOnce = async () => {
    // On a busy machine, this heartbeat may be so late that the node is given up.
    const isLate = performance.now() - renewedAt > (graceSeconds * 1000) / 2;
    const renewed = await client
      .patch(`${leases}/${name}`, { spec: leaseSpec(name, graceSeconds) })
      .then(({ status }) => status < 300)
      .catch(() => false);
    if (renewed) renewedAt = performance.now();
    unsureBeats = renewed && !isLate && isSeenReady ? Math.max(0, unsureBeats - 1) : BEATS_UNTIL_SURE;
    if (!renewed || unsureBeats === 0 || !isAlive) return;
    await client.patch(`/api/v1/nodes/${name}/status`, { status: { conditions: nodeConditions() } }, "strategic-merge");
    place.recovered();
  };
  const beat = setInterval(
    () => {
      // The next heartbeat makes up for a failed one.
      if (isAlive) void beatOnce().catch(() => {});
    },
    (graceSeconds * 1000) / 4,
  );
  return {
    name,
    get isAlive() {
      return isAlive;
    },
    lose() {
      isAlive = false;
    },
    async recover() {
      renewedAt = performance.now();
      await must(client.patch(`${leases}/${name}`, { spec: leaseSpec(name, graceSeconds) }));
      const status = { conditions: nodeConditions() };
      await must(client.patch(`/api/v1/nodes/${name}/status`, { status }, "strategic-merge"));
      isAlive = true;
      place.recovered();
    },
    async remove() {
      isAlive = false;
      clearInterval(beat);
      await must(client.remove(`/api/v1/nodes/${name}`));
      // The node owns the lease, which would be removed later, perhaps after a new node of that name has come.
      await must(client.remove(`${leases}/${name}`));
    },
    seen({ status: { conditions = [] } }) {
      isSeenReady = conditions.some(({ type, status }) => type === "Ready" && status === "True");
    },
    stopBeating: () => clearInterval(beat),
  };
}

async function must(request: Promise<{ status: number; body: KubeObject }>): Promise<void> {
  const { status, body } = await request;
  if (status >= 300) throw new Error(`A pretend node was refused: ${status} ${JSON.stringify(body)}`);
}

function leaseSpec(holderIdentity: string, leaseDurationSeconds: number): object {
  // A MicroTime has six digits.
  return { holderIdentity, leaseDurationSeconds, renewTime: new Date().toISOString().replace("Z", "000Z") };
}

function nodeObject(options: NodeOptions, kubeletPort: number): object {
  const { name, instanceType, zone = "us-east-1a", labels, isBare = false, hasNoDevices = false } = options;
  const type = findInstanceType(instanceType);
  if (!type) throw new Error(`Berth knows no instance type ${instanceType}`);
  const architecture = instanceType.startsWith("c7g") ? "arm64" : "amd64";
  const gpus = type.gpus === 0 || hasNoDevices ? {} : { "nvidia.com/gpu": String(type.gpus) };
  const resources = {
    cpu: String(type.vcpus),
    memory: `${type.memoryGb}Gi`,
    pods: "250",
    "ephemeral-storage": "1Ti",
    ...gpus,
  };
  return {
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        ...(isBare ? {} : cloudLabels(instanceType, zone)),
        ...labels,
      },
    },
    spec: {
      ...(isBare ? {} : { providerID: `aws:///${zone}/i-${name}` }),
      ...(type.gpus === 0 ? {} : { taints: [{ key: "nvidia.com/gpu", value: "true", effect: "NoSchedule" }] }),
    },
    status: {
      capacity: resources,
      allocatable: resources,
      addresses: [
        { type: "InternalIP", address: "127.0.0.1" },
        { type: "ExternalIP", address: "127.0.0.1" },
        { type: "Hostname", address: name },
      ],
      // The API server dials this port, so one server may serve many nodes.
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
      nodeInfo: nodeInfo(name, architecture),
      conditions: nodeConditions(),
    },
  };
}

function cloudLabels(instanceType: string, zone: string): Record<string, string> {
  return {
    "node.kubernetes.io/instance-type": instanceType,
    "topology.kubernetes.io/region": zone.slice(0, -1),
    "topology.kubernetes.io/zone": zone,
    "topology.ebs.csi.aws.com/zone": zone,
  };
}

function nodeInfo(name: string, architecture: string): object {
  return {
    kubeletVersion: KUBERNETES_VERSION,
    operatingSystem: "linux",
    architecture,
    machineID: name,
    systemUUID: name,
    bootID: "",
    kernelVersion: "",
    osImage: "",
    containerRuntimeVersion: "containerd://2.0.0",
    kubeProxyVersion: "",
  };
}

function nodeConditions(): object[] {
  return ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map((type) => ({
    type,
    status: type === "Ready" ? "True" : "False",
    reason: "Kubelet",
    message: "",
    lastHeartbeatTime: now(),
    lastTransitionTime: now(),
  }));
}
