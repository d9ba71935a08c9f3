import type { Run } from "#core/ports/compute.ts";
import { buildMarks, formatWebName, nameOfRun, type RunId } from "../names.ts";
import type { Paths } from "../paths.ts";

export interface WebAddresses {
  /** Parent domain of all pages. The host of a page is `<label>.<domain>`; a port in it is ignored. */
  readonly domain: string;
  /** Class of the ingress controller that the domain's wildcard record points to. */
  readonly ingressClass: string;
  /** Annotations of each Ingress, such as the controller's authentication settings. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Returns the host of the run's page, if it serves one and the name is a valid host (RFC 1123, 2.1). */
export function formatHost({ addressLabel, ports }: Run, web: WebAddresses | undefined): string | undefined {
  if (!web || addressLabel === undefined || !ports.some(({ kind }) => kind === "http")) return undefined;
  const host = `${addressLabel}.${web.domain.replace(/:\d+$/, "")}`;
  return host.length <= 253 && hostName.test(host) ? host : undefined;
}

const hostName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$/;

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
