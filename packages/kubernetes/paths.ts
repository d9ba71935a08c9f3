export interface Paths {
  readonly namespace: string;
  readonly jobs: string;
  readonly pods: string;
  readonly secrets: string;
  readonly services: string;
  readonly networkPolicies: string;
  readonly ingresses: string;
  readonly events: string;
  /** Events of objects that have no namespace are in `default`. */
  readonly clusterEvents: string;
  readonly claims: string;
  readonly snapshots: string;
}

export function buildPaths(namespace: string): Paths {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) throw new Error("The name of the namespace is invalid");
  const core = `/api/v1/namespaces/${namespace}`;
  return {
    namespace,
    jobs: `/apis/batch/v1/namespaces/${namespace}/jobs`,
    pods: `${core}/pods`,
    secrets: `${core}/secrets`,
    services: `${core}/services`,
    networkPolicies: `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`,
    ingresses: `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`,
    events: `${core}/events`,
    clusterEvents: "/api/v1/namespaces/default/events",
    claims: `${core}/persistentvolumeclaims`,
    snapshots: `/apis/snapshot.storage.k8s.io/v1/namespaces/${namespace}/volumesnapshots`,
  };
}
