import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { signIdentityRequest } from "#aws/sts/identity.ts";
import { jobClient } from "./job-client.ts";
import { openStackFixture, type StackProcess } from "./stack-fixture.ts";

const fixture = openStackFixture("berth-sts-");
const arn = "arn:aws:sts::000000000000:assumed-role/SSOCloudDevGpuReservation/developer";
let stack: StackProcess;
let env: Record<string, string>;

beforeAll(async () => {
  stack = await fixture.start();
  env = await stack.env();
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(() => fixture.close());

describe("the local STS", () => {
  it("identifies the real client by the variables of npm run env", async () => {
    useShell(env);

    const { Account, Arn } = await new STSClient({ region: "us-east-1" }).send(new GetCallerIdentityCommand({}));

    expect({ Account, Arn }).toEqual({ Account: "000000000000", Arn: arn });
  });

  it("refuses the real client when its secret is wrong", async () => {
    useShell({ ...env, AWS_SECRET_ACCESS_KEY: "x".repeat(40) });

    const call = new STSClient({ region: "us-east-1" }).send(new GetCallerIdentityCommand({}));

    await expect(call).rejects.toMatchObject({ name: "SignatureDoesNotMatch" });
  });
});

describe("a login that sends no secret", () => {
  it("issues a key for a GetCallerIdentity that was signed for this server", async () => {
    const { status, body } = await logInBySignature("berth-local");

    expect([status, body.username, body.aws_arn]).toEqual([200, "developer", arn]);
    expect(await jobClient(stack.url, String(body.api_key)).list()).toEqual([]);
  });

  it("refuses a request that was signed for another server", async () => {
    const { status, body } = await logInBySignature("somebody-else");

    expect([status, body]).toEqual([401, { detail: "AWS signature verification failed" }]);
  });

  it("refuses a request that was changed after it was signed", async () => {
    const { status, body } = await logInBySignature("berth-local", { "content-type": "text/plain" });

    expect([status, body]).toEqual([401, { detail: "AWS signature verification failed" }]);
  });
});

function useShell(variables: Readonly<Record<string, string>>): void {
  const files = { AWS_CONFIG_FILE: "/dev/null", AWS_SHARED_CREDENTIALS_FILE: "/dev/null" };
  for (const [name, value] of Object.entries({ ...variables, ...files })) vi.stubEnv(name, value);
}

async function logInBySignature(serverId: string, changes: Readonly<Record<string, string>> = {}) {
  const credentials = {
    accessKeyId: env.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? "",
    sessionToken: env.AWS_SESSION_TOKEN,
  };
  const endpoint = env.AWS_ENDPOINT_URL_STS ?? "";
  const headers = { "x-berth-server-id": serverId };
  const signed = await signIdentityRequest(credentials, { endpoint, region: "us-east-1", headers });
  const response = await fetch(`${stack.url}/v1/auth/aws-login`, {
    method: "POST",
    body: JSON.stringify({
      iam_request_url: signed.url,
      iam_request_method: signed.method,
      iam_request_headers: { ...signed.headers, ...changes },
      iam_request_body: signed.body,
    }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
