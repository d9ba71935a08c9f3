import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { fillGateway, type GatewaySetup } from "./gateway.ts";
import { type Manifest, readManifests } from "./manifests.ts";

const manifests = await readManifests(fileURLToPath(new URL("../../../deploy/kubernetes/gateway", import.meta.url)));
const setup: GatewaySetup = {
  image: `berth.test/berth-gateway@sha256:${"a".repeat(64)}`,
  certificate: "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b",
  sshPort: 22,
  isPrivate: false,
  settings: { TABLE_NAME: "berth-dev", AWS_REGION: "eu-west-1", DOMAIN: "pages.test", ALLOWED_SOURCES: "192.0.2.0/24" },
  drainSeconds: 600,
  hostKeys: "ssh-ed25519 AAAA",
  privateHostKeys: undefined,
};
const fill = (changes: Partial<GatewaySetup> = {}) => fillGateway(manifests, { ...setup, ...changes });
const find = (filled: readonly Manifest[], kind: string) => filled.find((each) => each.kind === kind);
const readAnnotations = (filled: readonly Manifest[]) =>
  (find(filled, "Deployment") as unknown as { spec: { template: { metadata: { annotations: object } } } }).spec.template
    .metadata.annotations;

it("the objects have the image, the settings and the certificate of a deployment, and no example is left", () => {
  const filled = fill();

  expect(find(filled, "ConfigMap")?.data).toEqual({ ...setup.settings, DRAIN_SECONDS: "600" });
  expect(find(filled, "Deployment")).toMatchObject({
    spec: { template: { spec: { terminationGracePeriodSeconds: 720, containers: [{ image: setup.image }] } } },
  });
  expect(JSON.stringify(find(filled, "Service"))).toContain(setup.certificate);
  const examples = /"image":"berth-gateway"|set-this|example\.com|berth-production|us-east-1/;
  expect(JSON.stringify(manifests)).toMatch(examples);
  expect(JSON.stringify(filled)).not.toMatch(examples);
});

it("a rollout or a drained node leaves a gateway that takes connections, and two replicas avoid one node and zone", () => {
  const filled = fill();
  const spread = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map((topologyKey) => ({
    topologyKey,
    maxSkew: 1,
    // A cluster of one node or zone still gets both replicas.
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: { "app.kubernetes.io/name": "berth-gateway" } },
  }));

  expect(find(filled, "Deployment")).toMatchObject({
    spec: {
      replicas: 2,
      // An old pod drains for up to an hour. A new one must be ready before that.
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: { spec: { topologySpreadConstraints: spread } },
    },
  });
  // With 2 a node of a gateway could never be drained.
  expect(find(filled, "PodDisruptionBudget")).toMatchObject({ spec: { minAvailable: 1 } });
});

it("the load balancer keeps the client's address and the open sessions of a pod that ends", () => {
  const prefix = "service.beta.kubernetes.io/aws-load-balancer";
  const annotations = find(fill(), "Service")?.metadata.annotations as Readonly<Record<string, string>>;
  const { [`${prefix}-attributes`]: balancer = "", [`${prefix}-target-group-attributes`]: targets = "" } = annotations;

  // A zone whose replica is gone still answers at its address, which clients keep from DNS.
  expect(balancer.split(",")).toEqual(["load_balancing.cross_zone.enabled=true"]);
  expect(targets.split(",").toSorted()).toEqual([
    // Without these two the load balancer resets sessions that the pod still drains.
    "deregistration_delay.connection_termination.enabled=false",
    // The default of DRAIN_SECONDS, and the longest value that AWS admits.
    "deregistration_delay.timeout_seconds=3600",
    // ALLOWED_SOURCES compares the address of the socket.
    "preserve_client_ip.enabled=true",
    "target_health_state.unhealthy.connection_termination.enabled=false",
  ]);
});

it("another port of SSH is that of the load balancer, with the same idle timeout", () => {
  const service = find(fill({ sshPort: 2222 }), "Service");

  const attribute = "service.beta.kubernetes.io/aws-load-balancer-listener-attributes.TCP-";
  const ports = [
    { name: "ssh", port: 2222, targetPort: "ssh" },
    { name: "https", port: 443 },
  ];
  expect(service).toMatchObject({ spec: { ports } });
  expect(service?.metadata.annotations).toMatchObject({ [`${attribute}2222`]: "tcp.idle_timeout.seconds=6000" });
  expect(service?.metadata.annotations).not.toHaveProperty([`${attribute}22`]);
});

it.each([
  [true, "internal"],
  [false, "internet-facing"],
])("a gateway with isPrivate=%s has a load balancer with the scheme %s", (isPrivate, scheme) => {
  const annotations = { "service.beta.kubernetes.io/aws-load-balancer-scheme": scheme };

  expect(find(fill({ isPrivate }), "Service")).toMatchObject({ metadata: { annotations } });
});

it("pods are replaced for other settings or public host keys, and for nothing else", () => {
  const before = readAnnotations(fill());

  expect(readAnnotations(fill({ privateHostKeys: "any", image: "berth.test/other" }))).toEqual(before);
  expect(readAnnotations(fill({ settings: { ...setup.settings, DOMAIN: "other.test" } }))).not.toEqual(before);
  expect(readAnnotations(fill({ drainSeconds: 60 }))).not.toEqual(before);
  expect(readAnnotations(fill({ hostKeys: "ssh-ed25519 BBBB" }))).not.toEqual(before);
});

it("private host keys are in their Secret alone, which comes before the pods that need it", () => {
  const filled = fill({ privateHostKeys: "private\n" });

  const encoded = Buffer.from("private\n").toString("base64");
  expect(filled[0]).toMatchObject({ kind: "Secret", data: { keys: encoded } });
  expect(JSON.stringify(filled.slice(1))).not.toMatch(new RegExp(`private\\\\n|${encoded}`));
  expect(find(fill(), "Secret")).toBeUndefined();
});
