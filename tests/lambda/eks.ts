import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type FakeAnswer, type FakeService, startFakeService } from "../aws/fake-service.ts";
import { ACCOUNT } from "../synthesis/cloud.ts";
import type { Resource } from "../synthesis/synthesize.ts";
import { type Cluster, describeCluster } from "./eks-answers.ts";

export interface Eks extends Pick<FakeService, "endpoint" | "knowKeys" | "stop"> {
  /** Address where the cluster's API server verifies tokens. */
  readonly tokenReviews: string;
  /** Describes the cluster from now on, with its API server, and as other resources than the first if there are any. */
  open(cluster: Cluster, changed?: readonly Resource[]): void;
}

/**
 * Describes the cluster `name` and verifies tokens. Roles get the groups of their access entry (EKS User Guide, "Grant
 * IAM users access to Kubernetes with EKS access entries"). The role `creator` is an administrator, as with
 * `bootstrapClusterCreatorAdminPermissions`. STS identifies the owner of a token.
 */
export async function startEks(
  resources: readonly Resource[],
  name: string,
  sts: string,
  creator?: string,
): Promise<Eks> {
  let answers: Readonly<Record<string, object>> = {};
  const service = await startFakeService("eks", refusal, ({ path }) => {
    const answer = answers[decodeURIComponent(path)];
    return answer ? { status: 200, body: JSON.stringify(answer) } : refusal("ResourceNotFoundException");
  });
  const entries = resources
    .filter(({ type, inputs }) => type === "aws:eks/accessEntry:AccessEntry" && inputs.clusterName === name)
    .map(({ inputs }) => [String(inputs.principalArn), inputs.kubernetesGroups] as const);
  const creators = creator === undefined ? [] : [[creator, ["system:masters"]] as const];
  const groups: ReadonlyMap<string, readonly string[]> = new Map([...entries, ...creators]);
  const reviews = createServer(async (request, response) => {
    const { spec } = JSON.parse(await text(request)) as { readonly spec: { readonly token: string } };
    const arn = await findCaller(spec.token, name, sts).catch(() => undefined);
    const knownGroup = groups.get(getRole(arn ?? ""));
    const status = knownGroup
      ? { authenticated: true, user: { username: arn, groups: knownGroup } }
      : { authenticated: false };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", status }));
  });
  reviews.listen(0, "127.0.0.1");
  await once(reviews, "listening");
  return {
    ...service,
    tokenReviews: `http://127.0.0.1:${(reviews.address() as AddressInfo).port}`,
    open(cluster, changed = resources) {
      answers = describeCluster(changed, name, cluster);
    },
    async stop() {
      reviews.close();
      reviews.closeAllConnections();
      await service.stop();
    },
  };
}

function refusal(code: string): FakeAnswer {
  return { status: 404, body: JSON.stringify({ __type: code, message: code }) };
}

const PREFIX = "k8s-aws-v1.";

/**
 * Sends the token's presigned request to STS. Its signature must include the cluster's name (aws-iam-authenticator).
 */
async function findCaller(token: string, cluster: string, sts: string): Promise<string | undefined> {
  const signed = new URL(Buffer.from(token.slice(PREFIX.length), "base64url").toString());
  const isFor = signed.searchParams.get("X-Amz-SignedHeaders")?.split(";").includes("x-k8s-aws-id");
  if (!token.startsWith(PREFIX) || !isFor || !/^sts\.[\w-]+\.amazonaws\.com$/.test(signed.host)) return undefined;
  const headers = { host: signed.host, "x-k8s-aws-id": cluster };
  const sent = request(`${sts}/${signed.search}`, { headers, agent: false }).end();
  const [answer] = await once(sent, "response");
  return /<Arn>(.+)<\/Arn>/.exec(await text(answer))?.[1];
}

function getRole(arn: string): string {
  const [, name] = /:assumed-role\/([^/]+)\//.exec(arn) ?? [];
  return `arn:aws:iam::${ACCOUNT}:role/${name}`;
}
