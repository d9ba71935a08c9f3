import { afterEach, describe, expect, it } from "vitest";
import { type FakeAnswer, type FakeService, fakeKey, startFakeService } from "#tests/aws/fake-service.ts";
import { patientCalls } from "#tests/aws/patient.ts";
import type { AwsService } from "../service-call.ts";
import { eksAccess, makeEksToken } from "./eks-access.ts";

const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "an-example-secret", sessionToken: undefined };

// Printed by aws-cli/1.46.3 (botocore/1.43.62): `aws eks get-token --cluster-name berth-1 --region <region>` with these
// keys in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. The instant is that in its own X-Amz-Date.
const golden = [
  {
    region: "us-east-2",
    sessionToken: undefined,
    at: "2026-11-22T10:25:16Z",
    token:
      "k8s-aws-v1.aHR0cHM6Ly9zdHMudXMtZWFzdC0yLmFtYXpvbmF3cy5jb20vP0FjdGlvbj1HZXRDYWxsZXJJZGVudGl0eSZWZXJzaW9uPTIwMTEtMDYtMTUmWC1BbXotQWxnb3JpdGhtPUFXUzQtSE1BQy1TSEEyNTYmWC1BbXotQ3JlZGVudGlhbD1BS0lERVhBTVBMRSUyRjIwMjYxMTIyJTJGdXMtZWFzdC0yJTJGc3RzJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjJUMTAyNTE2WiZYLUFtei1FeHBpcmVzPTYwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCUzQngtazhzLWF3cy1pZCZYLUFtei1TaWduYXR1cmU9NDJlYjQ3ODU5YmU2Yzk2MTkwYTIxYWY0YzAwMjc1NTk0ZmIyMTVlY2EzZGI5YTUwZWNkNGI3OGNiNzY0YTBjMA",
  },
  {
    region: "cn-north-1",
    sessionToken: undefined,
    at: "2026-11-22T10:25:32Z",
    token:
      "k8s-aws-v1.aHR0cHM6Ly9zdHMuY24tbm9ydGgtMS5hbWF6b25hd3MuY29tLmNuLz9BY3Rpb249R2V0Q2FsbGVySWRlbnRpdHkmVmVyc2lvbj0yMDExLTA2LTE1JlgtQW16LUFsZ29yaXRobT1BV1M0LUhNQUMtU0hBMjU2JlgtQW16LUNyZWRlbnRpYWw9QUtJREVYQU1QTEUlMkYyMDI2MTEyMiUyRmNuLW5vcnRoLTElMkZzdHMlMkZhd3M0X3JlcXVlc3QmWC1BbXotRGF0ZT0yMDI2MTEyMlQxMDI1MzJaJlgtQW16LUV4cGlyZXM9NjAmWC1BbXotU2lnbmVkSGVhZGVycz1ob3N0JTNCeC1rOHMtYXdzLWlkJlgtQW16LVNpZ25hdHVyZT0yMTYyNWY1MDVjZTdmNjgzZWFjMGU3MjhhZDk0NjVhZTcyMzAyNTcxMTM4ZjRmNmRlMDViMGQ3NGUxNjk2NDdk",
  },
  {
    region: "eu-central-1",
    sessionToken: "a+token/with=signs==",
    at: "2026-11-22T10:25:45Z",
    token:
      "k8s-aws-v1.aHR0cHM6Ly9zdHMuZXUtY2VudHJhbC0xLmFtYXpvbmF3cy5jb20vP0FjdGlvbj1HZXRDYWxsZXJJZGVudGl0eSZWZXJzaW9uPTIwMTEtMDYtMTUmWC1BbXotQWxnb3JpdGhtPUFXUzQtSE1BQy1TSEEyNTYmWC1BbXotQ3JlZGVudGlhbD1BS0lERVhBTVBMRSUyRjIwMjYxMTIyJTJGZXUtY2VudHJhbC0xJTJGc3RzJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjJUMTAyNTQ1WiZYLUFtei1FeHBpcmVzPTYwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCUzQngtazhzLWF3cy1pZCZYLUFtei1TZWN1cml0eS1Ub2tlbj1hJTJCdG9rZW4lMkZ3aXRoJTNEc2lnbnMlM0QlM0QmWC1BbXotU2lnbmF0dXJlPWQ2N2U2Yzc4MjZlZmM2ZjFiZmRjYTRlZjI2YjIzMmNjMjM2YjdhY2EzNGI2Y2ExOTBiYWY5N2JhOGNlOWZjYWM",
  },
];

describe("the token of an EKS cluster", () => {
  it.each(golden)(
    "equals the output of the AWS CLI at that instant in $region",
    async ({ region, sessionToken, at, token }) => {
      const made = await makeEksToken("berth-1", {
        region,
        credentials: { ...keys, sessionToken },
        signingDate: new Date(at),
      });

      expect(made).toBe(token);
    },
  );

  it("is kept until a minute before its end, and replaced after a refusal", async () => {
    const { access, clock } = await opened();

    const first = await access.token();
    clock.at += 12 * 60_000;
    const kept = await access.token();
    const renewed = await access.token(kept);
    clock.at += 13 * 60_000;
    const later = await access.token();

    expect(kept).toBe(first);
    expect(renewed).not.toBe(first);
    expect(later).not.toBe(renewed);
  });

  it("is created once for concurrent callers, and with fresh credentials after a refusal", async () => {
    const { access, asked: input } = await opened();

    const both = await Promise.all([access.token(), access.token()]);
    const before = input();
    await access.token(both[0]);

    expect([new Set(both).size, before, input()]).toEqual([1, 1, 2]);
  });
});

describe("the address of an EKS cluster", () => {
  const servers: FakeService[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
  });

  /** EKS with one cluster, `berth-1`, which records its requests. */
  async function startEks(cluster: object) {
    const says = (type: string, message: string): FakeAnswer => ({
      status: 404,
      body: JSON.stringify({ message }),
      headers: { "content-type": "application/json", "x-amzn-errortype": `${type}:http://internal.amazon.com` },
    });
    const server = await startFakeService(
      "eks",
      (code) => says(code, "refused"),
      ({ path }) => {
        const [, name] = /^\/clusters\/([^/]+)$/.exec(path) ?? [];
        if (name === "berth-1") return { status: 200, body: JSON.stringify({ cluster }) };
        return says("ResourceNotFoundException", `No cluster found for name: ${name}.`);
      },
    );
    servers.push(server);
    const place = { name: "eks", region: "us-east-2", url: server.endpoint, credentials: () => fakeKey };
    const eks: AwsService = { ...place, patience: patientCalls };
    return { eks, paths: () => server.calls.map(({ path }) => path) };
  }

  const clock = { now: () => Date.parse("2026-01-20T18:30:00Z") };

  it("is read from EKS if it is not configured", async () => {
    const data = Buffer.from("-----BEGIN CERTIFICATE-----").toString("base64");
    const { eks, paths } = await startEks({
      status: "ACTIVE",
      endpoint: "https://eks.test",
      certificateAuthority: { data },
    });

    const access = await eksAccess({ eks, cluster: "berth-1", clock });

    expect(access).toMatchObject({ url: "https://eks.test", ca: "-----BEGIN CERTIFICATE-----" });
    expect(paths()).toEqual(["/clusters/berth-1"]);
  });

  it("is not read from EKS if it is configured", async () => {
    const { eks, paths } = await startEks({});

    const access = await eksAccess({ eks, cluster: "berth-1", endpoint: "https://a.test", ca: "PEM", clock });

    expect(access).toMatchObject({ url: "https://a.test", ca: "PEM" });
    expect(paths()).toEqual([]);
  });

  it("is unknown, with EKS's message, if there is no such cluster", async () => {
    const { eks } = await startEks({});

    await expect(eksAccess({ eks, cluster: "berth-2", clock })).rejects.toThrow(
      "EKS DescribeCluster: ResourceNotFoundException: No cluster found for name: berth-2.",
    );
  });

  it("is missing, with a message, while the cluster is being created", async () => {
    const { eks } = await startEks({ status: "CREATING" });

    await expect(eksAccess({ eks, cluster: "berth-1", clock })).rejects.toThrow(
      "The EKS cluster berth-1 has no endpoint: it is CREATING",
    );
  });
});

/** Access with new credentials at each read, and its own clock. */
async function opened() {
  const clock = { at: Date.parse("2026-01-20T18:30:00Z"), now: () => clock.at };
  let input = 0;
  const credentials = () => {
    input += 1;
    return { ...keys, sessionToken: `session-${input}` };
  };
  const eks = { name: "eks", region: "us-east-2", url: "https://eks.test", credentials };
  const access = await eksAccess({ eks, cluster: "berth-1", endpoint: "https://a.test", ca: "PEM", clock });
  return { access, clock, asked: () => input };
}
