import type { Answer, KubeClient, KubeObject } from "./client.ts";
import { type PodScript, scripted } from "./container/script.ts";

/** Fields of a Job that the tests read. */
export interface Job extends KubeObject {
  readonly status: {
    readonly active?: number;
    readonly succeeded?: number;
    readonly failed?: number;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string; readonly message?: string }[];
  };
}

/** Creates a namespace for the tests of one file. */
export async function makeNamespace(client: KubeClient, name: string): Promise<string> {
  must(await client.post("/api/v1/namespaces", { metadata: { name } }));
  return name;
}

export const getJobs = (namespace: string): string => `/apis/batch/v1/namespaces/${namespace}/jobs`;
export const getPods = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
export const getClaims = (namespace: string): string => `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
/** Returns the path that lists the pods of a Job. */
export const podsOfJob = (namespace: string, job: string): string =>
  `${getPods(namespace)}?labelSelector=batch.kubernetes.io/job-name=${job}`;

export interface JobOptions {
  readonly script?: PodScript;
  readonly gpus?: number;
  /** Labels of the pod. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Further fields of the Job's spec, the pod's and the container's. */
  readonly spec?: object;
  readonly pod?: object;
  readonly container?: object;
}

/** Creates a Job of one pod with a container `main`. Throws if it is refused. */
export async function makeJob(
  client: KubeClient,
  namespace: string,
  name: string,
  options: JobOptions = {},
): Promise<KubeObject> {
  return must(await client.apply(`${getJobs(namespace)}/${name}`, jobNamed(name, options)));
}

/** Returns the object of such a Job. */
export function jobNamed(name: string, options: JobOptions) {
  const { script = {}, gpus = 0, spec = {}, labels = {}, pod = {}, container = {} } = options;
  const limits = { cpu: "1", memory: "1Gi", ...(gpus === 0 ? {} : { "nvidia.com/gpu": String(gpus) }) };
  const template = {
    metadata: { annotations: scripted(script), labels },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 2,
      tolerations: [{ key: "nvidia.com/gpu", operator: "Exists" }],
      containers: [{ name: "main", image: "berth.test/main:1", resources: { limits }, ...container }],
      ...pod,
    },
  };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: { backoffLimit: 0, podReplacementPolicy: "Failed", template, ...spec },
  };
}

/** Returns a command that ends with this code once the file exists, so a test decides when. */
export function endsWith(exitCode: number, file: string): { readonly command: readonly string[] } {
  return { command: ["sh", "-c", `until [ -e '${file}' ]; do sleep 0.02; done; exit ${exitCode}`] };
}

/** Returns the object, or undefined after 404. */
export function found<Body>(answer: Answer<Body>): Body | undefined {
  return answer.status === 404 ? undefined : must(answer);
}

/** Returns the body of a successful answer. Throws otherwise. */
export function must<Body>({ status, body }: Answer<Body>): Body {
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}
