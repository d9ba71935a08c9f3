import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { ApiRefused, ApiUnreachable } from "#kubernetes/client/api-error.ts";
import type { KubeObject } from "#kubernetes/objects.ts";

interface Server {
  readonly client: ApiClient;
  readonly url: string;
  readonly context: string;
  readonly namespace: string;
}

const apply = "npm run cluster:apply";

/**
 * Returns the namespace's uid, which identifies the cluster. Throws an error with advice if environments could not
 * run on this cluster.
 */
export async function checkCluster(server: Server): Promise<string> {
  const { client, context, namespace } = server;
  try {
    const lacking = await lackingRights(server);
    if (lacking.length > 0) {
      const more = lacking.length > mostNamed ? ` and ${lacking.length - mostNamed} more` : "";
      throw new Error(
        `The user of context ${context} may not ${lacking.slice(0, mostNamed).join(", ")}${more}.\n` +
          `An administrator grants that with \`${apply}\` and a binding to its roles named berth.`,
      );
    }
    const found = await client.find<KubeObject>(`/api/v1/namespaces/${namespace}`);
    if (!found || !(await mayBeThere(client, "/apis/scheduling.k8s.io/v1/priorityclasses/berth-environment"))) {
      throw new Error(
        `The cluster of context ${context} is not prepared for Berth: run \`${apply}\` as its administrator.`,
      );
    }
    return found.metadata.uid;
  } catch (error) {
    throw describeError(error, server);
  }
}

const mostNamed = 3;

/** Limits concurrent requests, because an API server queues requests per user. */
const mostAsked = 4;

const needed: readonly (readonly [group: string, resource: string, verbs: string])[] = [
  ["", "namespaces", "get"],
  ["batch", "jobs", "get list watch create patch delete"],
  ["", "pods", "get list watch patch delete"],
  ["", "pods/log", "get"],
  ["", "pods/exec", "get create"],
  ["", "pods/portforward", "get create"],
  ["", "pods/resize", "patch"],
  ["", "secrets", "list create patch delete"],
  ["", "services", "list create patch delete"],
  ["networking.k8s.io", "networkpolicies", "list create patch delete"],
  ["networking.k8s.io", "ingresses", "list create patch delete"],
  ["", "persistentvolumeclaims", "get list create delete"],
  ["snapshot.storage.k8s.io", "volumesnapshots", "get list create patch delete"],
  ["", "events", "list"],
  ["coordination.k8s.io", "leases", "get create patch"],
];
const neededEverywhere: typeof needed = [
  ["", "nodes", "get list watch"],
  ["", "pods", "list watch"],
  ["", "persistentvolumes", "get list patch"],
  ["storage.k8s.io", "storageclasses", "list"],
  ["storage.k8s.io", "volumeattachments", "list delete"],
  ["snapshot.storage.k8s.io", "volumesnapshotclasses", "list"],
];

async function lackingRights(server: Server): Promise<string[]> {
  const rights = [
    ...needed.flatMap((right) => rightsIn(right, server.namespace)),
    ...neededEverywhere.flatMap((right) => rightsIn(right, undefined)),
  ];
  const answers: boolean[] = [];
  while (answers.length < rights.length) {
    const some = rights.slice(answers.length, answers.length + mostAsked);
    answers.push(...(await Promise.all(some.map((right) => mayDo(server.client, right)))));
  }
  return rights.filter((_, at) => answers[at] === false).map(formatWords);
}

async function mayDo(client: ApiClient, resourceAttributes: Right): Promise<boolean> {
  const body = { apiVersion: review, kind: "SelfSubjectAccessReview", spec: { resourceAttributes } };
  const answer = await client.create<Review>(`/apis/${review}/selfsubjectaccessreviews`, body);
  return answer.status?.allowed === true;
}

const review = "authorization.k8s.io/v1";

interface Review {
  readonly status?: { readonly allowed?: boolean };
}

interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
}

function rightsIn([group, named, verbs]: (typeof needed)[number], namespace: string | undefined): Right[] {
  const [resource = "", subresource] = named.split("/");
  const rest = { group, resource, ...(subresource && { subresource }), ...(namespace && { namespace }) };
  return verbs.split(" ").map((verb) => ({ verb, ...rest }));
}

function formatWords({ verb, resource, subresource, namespace }: Right): string {
  const where = namespace === undefined ? "of the cluster" : `in ${namespace}`;
  return `${verb} ${subresource ? `${resource}/${subresource}` : resource} ${where}`;
}

/** Returns true if the user may not read the object: a missing one then shows when runs do not start. */
async function mayBeThere(client: ApiClient, path: string): Promise<boolean> {
  try {
    return (await client.find(path)) !== undefined;
  } catch (error) {
    if (error instanceof ApiRefused && error.status === 403) return true;
    throw error;
  }
}

export function describeError(error: unknown, { url, context }: Pick<Server, "url" | "context">): unknown {
  const advice = `See whether \`kubectl --context ${context} get nodes\` is answered.`;
  if (error instanceof ApiUnreachable) {
    return new Error(`The API server ${url} of context ${context} cannot be reached (${error.code}).\n${advice}`, {
      cause: error,
    });
  }
  if (!(error instanceof ApiRefused)) return error;
  const failure = error.status === 401 ? "does not accept its credentials" : `refused ${error.message}`;
  return new Error(`The API server ${url} of context ${context} ${failure}.\n${advice}`, { cause: error });
}
