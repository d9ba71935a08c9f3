import type { Run } from "#core/context.ts";
import { label, metadataOf, nameOfRun, networkNameOf, type Paths, type RunId, sharesOf } from "./names.ts";
import type { Job } from "./objects.ts";
import type { Place } from "./read-run.ts";

/** What a run has beside its Job. */
export interface RunPart {
  readonly path: string;
  readonly body: object;
}

/** To be made before its Job: a Job that is seen lacks nothing. */
export function partsOf(run: Run, { paths, deployment }: Pick<Place, "paths" | "deployment">): RunPart[] {
  const { labels } = metadataOf(run, deployment);
  const { secret, service, policy } = partPaths(run, paths);
  return [
    ...(hasEnv(run) ? [{ path: secret, body: secretOf(run, labels) }] : []),
    ...(run.shares.length > 1
      ? [
          { path: service, body: serviceOf(run, labels) },
          { path: policy, body: policyOf(run, labels) },
        ]
      : []),
  ];
}

/**
 * To be removed after its Job; what is made before a Job cannot be owned by it. Without the Job nobody knows what it had:
 * whoever applied or removed it may have been interrupted.
 */
export function partPathsOf(id: RunId, job: Job | undefined, paths: Paths): string[] {
  const { secret, service, policy } = partPaths(id, paths);
  if (!job) return [secret, service, policy];
  const hasSecret = job.spec?.template?.spec?.containers?.some(({ envFrom = [] }) => envFrom.length > 0);
  return [...(hasSecret ? [secret] : []), ...(sharesOf(job).length > 1 ? [service, policy] : [])];
}

export function hasEnv({ env }: Pick<Run, "env">): boolean {
  return Object.keys(env).length > 0;
}

function partPaths(id: RunId, paths: Paths) {
  return {
    secret: `${paths.secrets}/${nameOfRun(id)}`,
    service: `${paths.services}/${networkNameOf(id)}`,
    policy: `${paths.networkPolicies}/${networkNameOf(id)}`,
  };
}

type Labels = Readonly<Record<string, string>>;

function secretOf(run: Run, labels: Labels): object {
  const metadata = { name: nameOfRun(run), labels };
  return { apiVersion: "v1", kind: "Secret", metadata, stringData: run.env };
}

/** By it the machines of a run find each other, from their start on. */
function serviceOf(run: Run, labels: Labels): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: networkNameOf(run), labels },
    spec: { clusterIP: "None", selector: selectorOf(run), publishNotReadyAddresses: true },
  };
}

/** Environments reach nobody else in the cluster (deploy/kubernetes/network-policy.yaml): the machines of one do. */
function policyOf(run: Run, labels: Labels): object {
  const each = [{ podSelector: { matchLabels: selectorOf(run) } }];
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: networkNameOf(run), labels },
    spec: {
      podSelector: { matchLabels: selectorOf(run) },
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: each }],
      egress: [{ to: each }],
    },
  };
}

function selectorOf({ uid, run }: RunId): Record<string, string> {
  return { [label.uid]: uid, [label.run]: String(run) };
}
