import { createHash } from "node:crypto";
import type { PlannedChange } from "./apply.ts";
import { formatObjectName, type Manifest } from "./manifests.ts";

/** The settings of a deployment for its gateway. */
export interface GatewaySetup {
  readonly image: string;
  /** ARN of the certificate for pages. */
  readonly certificate: string;
  /** Port at which the load balancer serves SSH. */
  readonly sshPort: number;
  /** The load balancer has no public address. */
  readonly isPrivate: boolean;
  /** Settings of the program (docs/architecture/gateway.md#the-program). */
  readonly settings: Readonly<Record<string, string>>;
  readonly drainSeconds: number;
  /** Public host keys. */
  readonly hostKeys: string;
  /** Private host keys. If undefined, the Secret in the cluster is not changed. */
  readonly privateHostKeys: string | undefined;
}

type Fill = (manifest: Manifest, setup: GatewaySetup) => Manifest;

/** Returns the objects of deploy/kubernetes/gateway with what a deployment knows, and the Secret of its host keys. */
export function fillGateway(manifests: readonly Manifest[], setup: GatewaySetup): Manifest[] {
  const filled = manifests.map((manifest) => fills[manifest.kind]?.(manifest, setup) ?? manifest);
  return setup.privateHostKeys === undefined ? filled : [makeHostKeySecret(setup.privateHostKeys), ...filled];
}

function makeHostKeySecret(keys: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "berth-gateway-host-key", namespace: "berth-system" },
    data: { keys: Buffer.from(keys).toString("base64") },
  };
}

const fills: Readonly<Record<string, Fill>> = {
  ConfigMap: (manifest, { settings, drainSeconds }) => ({
    ...manifest,
    data: { ...(manifest.data as object), ...settings, DRAIN_SECONDS: String(drainSeconds) },
  }),
  Deployment: fillDeployment,
  Service: fillService,
};

interface Deployment extends Manifest {
  readonly spec: { readonly template: { readonly metadata: object; readonly spec: PodSpec } };
}

interface PodSpec {
  readonly containers: readonly object[];
}

/** Pods end this long after they have drained: preStop, and a minute to close. */
const AFTER_DRAIN_SECONDS = 120;

function fillDeployment(manifest: Manifest, setup: GatewaySetup): Manifest {
  const { spec } = manifest as Deployment;
  const { template } = spec;
  // Pods read settings and keys when they start, so a change must replace them.
  const read = JSON.stringify([setup.settings, setup.drainSeconds, setup.hostKeys]);
  const annotations = { "berth/settings": createHash("sha256").update(read).digest("hex") };
  const pod = {
    ...template.spec,
    terminationGracePeriodSeconds: setup.drainSeconds + AFTER_DRAIN_SECONDS,
    containers: template.spec.containers.map((container) => ({ ...container, image: setup.image })),
  };
  return {
    ...manifest,
    spec: { ...spec, template: { ...template, metadata: { ...template.metadata, annotations }, spec: pod } },
  };
}

interface Service extends Manifest {
  readonly spec: { readonly ports: readonly { readonly name: string }[] };
}

const loadBalancer = "service.beta.kubernetes.io/aws-load-balancer";
const sshListener = `${loadBalancer}-listener-attributes.TCP-22`;

function fillService(manifest: Manifest, { certificate, sshPort, isPrivate }: GatewaySetup): Manifest {
  const { metadata, spec } = manifest as Service;
  const { [sshListener]: idleTimeout, ...others } = metadata.annotations as Readonly<Record<string, string>>;
  const annotations = {
    ...others,
    [`${loadBalancer}-scheme`]: isPrivate ? "internal" : "internet-facing",
    [`${loadBalancer}-ssl-cert`]: certificate,
    [`${loadBalancer}-listener-attributes.TCP-${sshPort}`]: idleTimeout,
  };
  const ports = spec.ports.map((port) => (port.name === "ssh" ? { ...port, port: sshPort } : port));
  return { ...manifest, metadata: { ...metadata, annotations }, spec: { ...spec, ports } };
}

/**
 * Throws if the plan opens a load balancer to the internet that has no public address now. Without the annotation, the
 * AWS Load Balancer Controller makes an internal one ("Service annotations", aws-load-balancer-scheme).
 */
export function refuseOpening(changes: readonly PlannedChange[]): void {
  for (const change of changes) {
    if (change.action !== "change" || change.manifest.kind !== "Service") continue;
    // The field is all annotations if the Service has none now.
    if (!change.fields.some(({ to }) => to?.includes('"internet-facing"'))) continue;
    throw new Error(
      `The load balancer of ${formatObjectName(change.manifest)} is internal now, and the internet would reach it. Set ` +
        "GATEWAY_ACCESS=public to open it, or GATEWAY_ACCESS=private to keep it internal. Nothing was applied",
    );
  }
}
