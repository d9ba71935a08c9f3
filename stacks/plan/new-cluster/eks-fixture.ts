import type { AccessEntry, Cluster, Nodegroup } from "@aws-sdk/client-eks";
import { onTestFinished } from "vitest";
import { type FakeAnswer, fakeKeyVariables, startFakeService } from "#tests/aws/fake-service.ts";

/** Starts an EKS with these clusters, each with these parts. Returns the environment of its clients. */
export async function startEks(
  clusters: readonly Cluster[],
  groups: readonly Nodegroup[] = [],
  entries: readonly AccessEntry[] = [],
) {
  const refuse = (code: string, status: number): FakeAnswer => ({
    status,
    headers: { "x-amzn-errortype": code },
    body: JSON.stringify({ message: code }),
  });
  const eks = await startFakeService(
    "eks",
    (code) => refuse(code, 403),
    ({ path }) => {
      if (path === "/clusters")
        return { status: 200, body: JSON.stringify({ clusters: clusters.map(({ name }) => name) }) };
      if (path.endsWith("/node-groups"))
        return { status: 200, body: JSON.stringify({ nodegroups: groups.map(({ nodegroupName }) => nodegroupName) }) };
      if (path.endsWith("/access-entries"))
        return {
          status: 200,
          body: JSON.stringify({ accessEntries: entries.map(({ principalArn }) => principalArn) }),
        };
      const accessEntry = entries.find(({ principalArn = "" }) => decodeURIComponent(path).endsWith(principalArn));
      if (accessEntry) return { status: 200, body: JSON.stringify({ accessEntry }) };
      const nodegroup = groups.find(({ nodegroupName }) => path.endsWith(`/node-groups/${nodegroupName}`));
      if (nodegroup) return { status: 200, body: JSON.stringify({ nodegroup }) };
      const cluster = clusters.find(({ name }) => path === `/clusters/${name}`);
      return cluster ? { status: 200, body: JSON.stringify({ cluster }) } : refuse("ResourceNotFoundException", 404);
    },
  );
  onTestFinished(eks.stop);
  return { AWS_ENDPOINT_URL_EKS: eks.endpoint, ...fakeKeyVariables };
}
