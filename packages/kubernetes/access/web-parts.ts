import type { Run } from "#core/ports/compute.ts";
import { buildMarks, formatWebName, nameOfRun, type RunId } from "../names.ts";
import type { Paths } from "../paths.ts";

/** How the pages of runs are reached from outside: by the cluster's ingress controller. */
export interface WebAddresses {
  /** A page is at the label of its environment, a point, and this; a port in it plays no part. */
  readonly domain: string;
  /** Of the Ingresses: the controller that serves them, whose address the wildcard name of the domain has. */
  readonly ingressClass: string;
  /** Carried by each Ingress: how its controller asks whether somebody may see a page, and whatever else it reads. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Where the page of a run is; undefined: it serves none, or has no name that a host can have (RFC 1123, 2.1). */
export function formatHost({ addressLabel, ports }: Run, web: WebAddresses | undefined): string | undefined {
  if (!web || addressLabel === undefined || !ports.some(({ kind }) => kind === "http")) return undefined;
  const host = `${addressLabel}.${web.domain.replace(/:\d+$/, "")}`;
  return host.length <= 253 && hostName.test(host) ? host : undefined;
}

const hostName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$/;

/** The Service and the Ingress of the first HTTP port, which is the one that has a name. */
export function buildWebParts(
  run: Run,
  { paths, deployment }: { readonly paths: Paths; readonly deployment: string },
  web: WebAddresses | undefined,
): { readonly path: string; readonly body: object }[] {
  const host = formatHost(run, web);
  const port = run.ports.find(({ kind }) => kind === "http")?.port;
  if (!web || host === undefined || port === undefined) return [];
  const { labels, annotations } = buildMarks(run, deployment);
  const [service, ingress] = webPaths(run, paths);
  const name = formatWebName(run);
  const backend = { service: { name, port: { number: HTTP } } };
  return [
    {
      path: service,
      body: {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, labels, annotations },
        spec: {
          // The pods of its other machines have Jobs of their own.
          selector: { "batch.kubernetes.io/job-name": nameOfRun(run) },
          ports: [{ name: "http", protocol: "TCP", port: HTTP, targetPort: port }],
        },
      },
    },
    {
      path: ingress,
      body: {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata: { name, labels, annotations: { ...web.annotations, ...annotations } },
        spec: {
          ingressClassName: web.ingressClass,
          rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
        },
      },
    },
  ];
}

const HTTP = 80;

export function webPaths(id: RunId, paths: Paths): [service: string, ingress: string] {
  const name = formatWebName(id);
  return [`${paths.services}/${name}`, `${paths.ingresses}/${name}`];
}
