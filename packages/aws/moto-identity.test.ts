import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AwsCredentials } from "#core/ports/identity.ts";
import { MOTO_ACCOUNT, MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { patientCalls } from "#tests/aws/patient.ts";
import { identityConformance } from "#tests/conformance/identity.ts";
import { systemClock } from "./clock.ts";
import { eksAccess } from "./eks/eks-access.ts";
import { type AwsService, callService } from "./service-call.ts";
import { signIdentityRequest, stsIdentity } from "./sts/identity.ts";

const region = "us-east-1";
// Created for this test: a running server may have had these tests before.
const fresh = randomBytes(4).toString("hex");
const [developer, otherName] = [`SSOCloudDevGpuReservation-${fresh}`, `Other-${fresh}`];
const roles = [developer, otherName];
const cluster = `berth-1-${fresh}`;
const Statement = [{ Effect: "Allow", Action: "eks:DescribeCluster", Resource: "*" }];
const describing = JSON.stringify({ Version: "2012-10-17", Statement });
const nobody = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
const moto = await startMoto("TEST_STS_URL");

describe("identities and clusters on moto", () => {
  if (!moto) {
    it("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const { endpoint, stop } = moto;
  const buildService = (name: string, credentials: AwsCredentials = nobody) =>
    ({ name, region, url: endpoint, credentials: () => credentials, patience: patientCalls }) satisfies AwsService;
  const assumed = { developer: nobody, other: nobody } as Record<"developer" | "other", AwsCredentials>;

  beforeAll(async () => {
    await checkSignatures(false);
    for (const role of roles) await callIam({ Action: "CreateRole", RoleName: role, AssumeRolePolicyDocument: "{}" });
    await callIam({ Action: "PutRolePolicy", RoleName: developer, PolicyName: "describe", PolicyDocument: describing });
    assumed.developer = await assume(developer);
    assumed.other = await assume(otherName);
    const roleArn = getArn("workers");
    const body = JSON.stringify({ name: cluster, roleArn, resourcesVpcConfig: {} });
    await callService(buildService("eks"), { name: "CreateCluster", method: "POST", path: "/clusters", body });
    await checkSignatures(true);
  });

  afterAll(stop);

  describe("the identity on STS", () => {
    identityConformance(async () => {
      const { sessionToken = "", ...key } = assumed.developer;
      const arn = `arn:aws:sts::${MOTO_ACCOUNT}:assumed-role/${developer}/alice`;
      return {
        identity: stsIdentity({ endpoint, region }),
        known: { ...key, sessionToken, account: MOTO_ACCOUNT, arn },
        sign: (credentials) => signIdentityRequest(credentials, { endpoint, region }),
      };
    });
  });

  describe("the address of an EKS cluster", () => {
    const getAccess = (name: string, credentials: AwsCredentials) =>
      eksAccess({ eks: buildService("eks", credentials), cluster: name, clock: systemClock() });

    it("is EKS's answer to an allowed caller, with its authority", async () => {
      const { url, ca } = await getAccess(cluster, assumed.developer);

      expect(url).toMatch(/^https:\/\/\w+\.\w+\.us-east-1\.eks\.amazonaws\.com\/?$/);
      expect(ca).not.toBe("");
    });

    it("is unknown for a missing cluster", async () => {
      await expect(getAccess(`berth-2-${fresh}`, assumed.developer)).rejects.toMatchObject({
        name: "ResourceNotFoundException",
      });
    });

    it("is refused to a role without the right, and to a wrong signature", async () => {
      const forged = { ...assumed.developer, secretAccessKey: "w".repeat(40) };

      await expect(getAccess(cluster, assumed.other)).rejects.toMatchObject({
        // EKS itself says AccessDeniedException.
        name: "AccessDenied",
      });
      await expect(getAccess(cluster, forged)).rejects.toMatchObject({ name: "SignatureDoesNotMatch" });
    });
  });

  /** Moto checks signatures after this call ("IAM-like Access Control"). Other servers have no such address. */
  async function checkSignatures(doCheck: boolean): Promise<void> {
    await fetch(`${endpoint}/moto-api/reset-auth`, { method: "POST", body: doCheck ? "0" : "inf" });
  }

  function callIam(words: Readonly<Record<string, string>>): Promise<string> {
    return query(buildService("iam"), { Version: "2010-05-08", ...words });
  }

  async function assume(role: string): Promise<AwsCredentials> {
    const words = { Action: "AssumeRole", RoleArn: getArn(role), RoleSessionName: "alice" };
    const answer = await query(buildService("sts"), { Version: "2011-06-15", ...words });
    const [accessKeyId, secretAccessKey, sessionToken] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(
      (name) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer)?.[1],
    );
    if (!accessKeyId || !secretAccessKey) throw new Error(`No credentials in ${answer}`);
    return { accessKeyId, secretAccessKey, sessionToken };
  }
});

function getArn(role: string): string {
  return `arn:aws:iam::${MOTO_ACCOUNT}:role/${role}`;
}

async function query(service: AwsService, words: Readonly<Record<string, string>>): Promise<string> {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const body = new URLSearchParams(words).toString();
  const call = { name: words.Action ?? "", method: "POST", path: "/", headers, body } as const;
  return Buffer.from(await callService(service, call)).toString();
}
