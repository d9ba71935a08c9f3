export const system = "berth-system";
/** Name of the table, by which the driver marks its runs too. */
export const tableName = "nodes";

interface OverlaySettings {
  /** Private key. */
  readonly hostKey: string;
  /** Certificate of the API server's authority. */
  readonly authority: string;
  /** Address of DynamoDB, as pods reach it. */
  readonly table: string;
}

interface Part {
  readonly path: string;
  readonly body: object;
}

/**
 * Returns what an overlay of deploy/kubernetes/gateway adds and changes for nodes of the tests. They have no load
 * balancer, so node ports lead in. Their API server lacks the admission that mounts a pod's token, and the controller
 * that publishes the authority. preStop and the probe's period are shorter than for a load balancer, which takes longer
 * to learn that a pod ends. A probe may take longer, since the machine computes both nodes.
 */
export function gatewayOverlay({ hostKey, authority, table }: OverlaySettings): Record<"created" | "patches", Part[]> {
  const own = `/api/v1/namespaces/${system}`;
  const credentials = { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" };
  const [settings, secret] = ["berth-gateway", "berth-gateway-host-key"];
  const data = { TABLE_NAME: tableName, DOMAIN: "preview.test", SCHEME: "http", AWS_ENDPOINT_URL_DYNAMODB: table };
  return {
    created: [
      { path: `${own}/secrets`, body: { metadata: { name: secret }, stringData: { keys: hostKey } } },
      { path: `${own}/configmaps`, body: { metadata: { name: "kube-root-ca.crt" }, data: { "ca.crt": authority } } },
    ],
    patches: [
      { path: `${own}/configmaps/${settings}`, body: { data: { ...data, ...credentials } } },
      { path: `${own}/services/berth-gateway`, body: { spec: nodePorts } },
      { path: `/apis/apps/v1/namespaces/${system}/deployments/berth-gateway`, body: { spec: deployment } },
    ],
  };
}

const nodePorts = {
  type: "NodePort",
  loadBalancerClass: null,
  allocateLoadBalancerNodePorts: null,
  externalTrafficPolicy: "Local",
};

/** What the API server's admission of service accounts adds to pods. */
const token = {
  name: "token",
  projected: {
    sources: [
      { serviceAccountToken: { path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    ],
  },
};

const container = {
  name: "gateway",
  lifecycle: { preStop: { sleep: { seconds: 1 } } },
  readinessProbe: { periodSeconds: 1, timeoutSeconds: 10 },
  volumeMounts: [{ name: "token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true }],
};

const deployment = { replicas: 2, template: { spec: { containers: [container], volumes: [token] } } };
