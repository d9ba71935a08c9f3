import type { Cluster } from "@aws-sdk/client-eks";
import { onTestFinished } from "vitest";
import { type FakeAnswer, fakeKeyVariables, startFakeService } from "#tests/aws/fake-service.ts";

/** Starts an EKS with these clusters. Returns the environment of its clients. */
export async function startEks(clusters: readonly Cluster[]) {
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
      const cluster = clusters.find(({ name }) => path === `/clusters/${name}`);
      return cluster ? { status: 200, body: JSON.stringify({ cluster }) } : refuse("ResourceNotFoundException", 404);
    },
  );
  onTestFinished(eks.stop);
  return { AWS_ENDPOINT_URL_EKS: eks.endpoint, ...fakeKeyVariables };
}
