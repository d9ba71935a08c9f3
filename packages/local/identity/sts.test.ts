import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signIdentityRequest } from "#aws/sts/identity.ts";
import type { AwsCredentials, SignedIdentityRequest } from "#core/ports/identity.ts";
import { type LocalIdentity, localIdentities } from "./identities.ts";
import { type Sts, startSts } from "./sts.ts";

let home: string;
let developer: LocalIdentity;
let second: LocalIdentity;
let expired: LocalIdentity;
let sts: Sts;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-sts-"));
  [developer, second] = localIdentities(home);
  expired = { ...developer, accessKeyId: "ASIAEXPIREDEXPIRED00", expiresAt: Date.now() - 1 };
  sts = await startSts({ identities: [developer, second, expired] });
});

afterAll(async () => {
  await sts.stop();
  rmSync(home, { recursive: true });
});

const region = "us-east-1";

async function callWithSdk({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials) {
  const session = sessionToken === undefined ? {} : { sessionToken };
  const client = new STSClient({
    endpoint: sts.endpoint,
    region,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey, ...session },
  });
  try {
    const { Account, Arn, UserId } = await client.send(new GetCallerIdentityCommand({}));
    return { Account, Arn, UserId };
  } catch (error) {
    return (error as Error).name;
  } finally {
    client.destroy();
  }
}

async function send({
  url,
  method,
  headers,
  body,
}: SignedIdentityRequest): Promise<{ status: number; code: string; text: string }> {
  const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  return { status: response.status, code: /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? "", text };
}

const sign = (options: { signingDate?: Date; headers?: Record<string, string> } = {}) =>
  signIdentityRequest(developer, { endpoint: sts.endpoint, region, ...options });

describe("the local STS and the real client", () => {
  it("returns the caller's own identity", async () => {
    const [first, otherEntry] = [await callWithSdk(developer), await callWithSdk(second)];

    expect(first).toEqual({ Account: "000000000000", Arn: developer.arn, UserId: developer.userId });
    expect(otherEntry).toMatchObject({
      Arn: "arn:aws:sts::000000000000:assumed-role/SSOCloudDevGpuReservation/second",
    });
  });

  it("refuses a wrong secret, an unknown key id, and a token that is missing, changed or expired", async () => {
    const codes = [
      await callWithSdk({ ...developer, secretAccessKey: second.secretAccessKey }),
      await callWithSdk({ ...developer, accessKeyId: "ASIAUNKNOWNUNKNOWN00" }),
      await callWithSdk({ ...developer, sessionToken: undefined }),
      await callWithSdk({ ...developer, sessionToken: second.sessionToken }),
      await callWithSdk(expired),
    ];

    expect(codes).toEqual([
      "SignatureDoesNotMatch",
      "InvalidClientTokenId",
      "InvalidClientTokenId",
      "InvalidClientTokenId",
      "ExpiredToken",
    ]);
  });
});

describe("a request signed by another client", () => {
  it("is answered, even with additional signed headers", async () => {
    const { status, text } = await send(await sign({ headers: { "x-berth-server-id": "berth-local" } }));

    expect(status).toBe(200);
    expect(text).toContain(`<Arn>${developer.arn}</Arn>`);
  });

  it.each([-20, 20])("is refused when it was signed %s minutes from now", async (minutes) => {
    const signingDate = new Date(Date.now() + minutes * 60_000);

    const { status, code, text } = await send(await sign({ signingDate }));

    expect([status, code]).toEqual([403, "SignatureDoesNotMatch"]);
    expect(text).toContain(minutes < 0 ? "Signature expired" : "Signature not yet current");
  });

  it("is refused when any signed part is changed", async () => {
    const signed = await sign({ headers: { "x-berth-server-id": "berth-local" } });
    const changes: SignedIdentityRequest[] = [
      { ...signed, body: `${signed.body}&A=1` },
      { ...signed, headers: { ...signed.headers, "x-berth-server-id": "other" } },
      { ...signed, headers: { ...signed.headers, "content-type": "text/plain" } },
      { ...signed, headers: { ...signed.headers, "x-amz-extra": "unsigned" } },
      { ...signed, url: `${signed.url}?a=1` },
      { ...signed, headers: { ...signed.headers, authorization: `${signed.headers.authorization?.slice(0, -1)}x` } },
    ];

    const codes = await Promise.all(changes.map(async (changed) => (await send(changed)).code));

    expect(codes).toEqual(changes.map(() => "SignatureDoesNotMatch"));
  });

  it.each(["__proto__", "constructor"])("is refused when it names %s as a signed header", async (name) => {
    const signed = await sign();
    const authorization = signed.headers.authorization?.replace("SignedHeaders=", `SignedHeaders=${name};`) ?? "";

    expect((await send({ ...signed, headers: { ...signed.headers, authorization } })).code).toBe(
      "SignatureDoesNotMatch",
    );
  });

  it("is refused when it is unsigned, partly signed, or for another action", async () => {
    const signed = await sign();
    const { authorization = "", ...unsigned } = signed.headers;
    const half = authorization.replace(/SignedHeaders=[^,]+, /, "");
    const otherEntry = { ...signed, body: "Action=AssumeRole&Version=2011-06-15" };
    const otherService = authorization.replace("/sts/", "/s3/");

    const answers = await Promise.all([
      send({ ...signed, headers: unsigned }),
      send({ ...signed, headers: { ...unsigned, authorization: half } }),
      send({ ...signed, headers: { ...unsigned, authorization: otherService } }),
      send({ ...signed, headers: { ...unsigned, authorization: "Basic abc" } }),
      send(otherEntry),
    ]);

    expect(answers.map(({ status, code }) => `${status} ${code}`)).toEqual([
      "403 MissingAuthenticationToken",
      "400 IncompleteSignature",
      "400 IncompleteSignature",
      "400 IncompleteSignature",
      "400 InvalidAction",
    ]);
  });

  it("is refused when it is too large", async () => {
    const signed = await sign();

    const { code } = await send({ ...signed, body: "x".repeat(70_000) });

    expect(code).toBe("ValidationError");
  });
});

describe("a presigned URL", () => {
  async function presigned(options: { expiresIn?: number; signingDate?: Date } = {}): Promise<SignedIdentityRequest> {
    const { hostname, host, protocol } = new URL(sts.endpoint);
    const signer = new SignatureV4({ service: "sts", region, credentials: developer, sha256: NodeHash });
    const query = { Action: "GetCallerIdentity", Version: "2011-06-15" };
    const request = { method: "GET", protocol, hostname, path: "/", query, headers: { host } };
    const signed = await signer.presign(request, { expiresIn: 60, ...options });
    const url = `${sts.endpoint}/?${new URLSearchParams(signed.query as Record<string, string>).toString().replaceAll("+", "%20")}`;
    return { url, method: "GET", headers: {}, body: undefined };
  }

  it("is answered", async () => {
    expect((await send(await presigned())).status).toBe(200);
  });

  it("expires at its own time", async () => {
    const old = await presigned({ expiresIn: 60, signingDate: new Date(Date.now() - 61_000) });

    expect((await send(old)).code).toBe("SignatureDoesNotMatch");
  });

  it("is refused when a parameter is changed, added or cut", async () => {
    const { url, ...rest } = await presigned();

    const answers = await Promise.all([
      send({ ...rest, url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=900") }),
      send({ ...rest, url: `${url}&extra=1` }),
      send({ ...rest, url: url.replace(/&X-Amz-Signature=[^&]+/, "") }),
    ]);

    expect(answers.map(({ code }) => code)).toEqual([
      "SignatureDoesNotMatch",
      "SignatureDoesNotMatch",
      "IncompleteSignature",
    ]);
  });
});

describe("the local identities", () => {
  it("are created once, in the format of real ones, and stored with mode 600", () => {
    const again = localIdentities(home);

    expect(again).toEqual([developer, second]);
    expect(developer.accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(developer.secretAccessKey).toHaveLength(40);
    expect(developer.sessionToken.length).toBeGreaterThanOrEqual(100);
    expect(statSync(join(home, "identities.json")).mode & 0o777).toBe(0o600);
  });
});

/** Written apart from the one of the adapter, so that a mistake there is not repeated here. */
const NodeHash = function nodeHash(secret?: Uint8Array | string) {
  const hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret);
  return { update: (data: Uint8Array) => void hash.update(data), digest: async () => new Uint8Array(hash.digest()) };
} as unknown as ConstructorParameters<typeof SignatureV4>[0]["sha256"];
