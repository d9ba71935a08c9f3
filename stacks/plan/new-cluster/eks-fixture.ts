import { onTestFinished } from "vitest";
import { type FakeAnswer, fakeKey, startFakeService } from "#tests/aws/fake-service.ts";

/** Starts an EKS with these clusters. Returns the environment of its clients. */
export async function startEks(clusters: readonly object[]) {
  const refuse = (code: string, status: number): FakeAnswer => ({
    status,
    headers: { "x-amzn-errortype": code },
    body: JSON.stringify({ message: code }),
  });
  const eks = await startFakeService(
    "eks",
    (code) => refuse(code, 403),
    ({ path }) => {
      const cluster = clusters.find((each) => "name" in each && path === `/clusters/${each.name}`);
      return cluster ? { status: 200, body: JSON.stringify({ cluster }) } : refuse("ResourceNotFoundException", 404);
    },
  );
  onTestFinished(eks.stop);
  return {
    AWS_ENDPOINT_URL_EKS: eks.endpoint,
    AWS_ACCESS_KEY_ID: fakeKey.accessKeyId,
    AWS_SECRET_ACCESS_KEY: fakeKey.secretAccessKey,
    AWS_SESSION_TOKEN: fakeKey.sessionToken ?? "",
  };
}
