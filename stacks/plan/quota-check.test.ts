import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { fakeKey, startFakeService } from "#tests/aws/fake-service.ts";
import type { VcpuNeed } from "./planned-machines.ts";
import { checkQuotas } from "./quota-check.ts";

const needs = [
  { vcpus: 480, name: "Running On-Demand P instances", code: "L-417A185B" },
  { vcpus: 288, name: "All G and VT Spot Instance Requests", code: "L-3819A6DF" },
];

afterEach(() => vi.unstubAllEnvs());

/** Starts Service Quotas with these values by code, and checks as a user who may ask it. */
async function check(values: Readonly<Record<string, number>>, of: readonly VcpuNeed[] = needs) {
  const service = await startFakeService(
    "servicequotas",
    (code) => ({ status: 403, body: JSON.stringify({ __type: code }) }),
    ({ headers, body }) => {
      const { ServiceCode, QuotaCode } = JSON.parse(Buffer.from(body).toString());
      const isKnown = headers["x-amz-target"] === "ServiceQuotasV20190624.GetServiceQuota" && ServiceCode === "ec2";
      const Value = isKnown ? values[QuotaCode] : undefined;
      if (Value === undefined) return { status: 400, body: JSON.stringify({ __type: "NoSuchResourceException" }) };
      return { status: 200, body: JSON.stringify({ Quota: { QuotaCode, Value } }) };
    },
  );
  onTestFinished(service.stop);
  vi.stubEnv("AWS_ACCESS_KEY_ID", fakeKey.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", fakeKey.secretAccessKey);
  vi.stubEnv("AWS_SESSION_TOKEN", fakeKey.sessionToken);
  return checkQuotas(of, { AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_SERVICE_QUOTAS: service.endpoint });
}

test("quotas that suffice have no findings", async () => {
  expect(await check({ "L-417A185B": 480, "L-3819A6DF": 1_000 })).toEqual({ findings: [], leftOut: [] });
});

test("a quota that is too small is found, with the call that raises it", async () => {
  const { findings, leftOut } = await check({ "L-417A185B": 479, "L-3819A6DF": 288 });

  expect(leftOut).toEqual([]);
  expect(findings).toEqual([
    {
      what: "quota Running On-Demand P instances",
      missing: "it is 479 vCPUs, and the groups of this stage need 480 at their most",
      todo: expect.stringContaining("--quota-code L-417A185B --desired-value 480"),
    },
  ]);
});

test("a quota that AWS does not tell is left out, and the others are checked", async () => {
  const { findings, leftOut } = await check({ "L-417A185B": 0 });

  expect(findings).toHaveLength(1);
  expect(leftOut).toEqual([
    {
      what: "quota All G and VT Spot Instance Requests",
      why: "Service Quotas does not tell it (NoSuchResourceException)",
    },
  ]);
});

test("a quota without a code is left out", async () => {
  const need = { vcpus: 384, name: "Spot Instance Requests of newer P instances", code: undefined };

  expect(await check({}, [need])).toEqual({
    findings: [],
    leftOut: [{ what: "quota Spot Instance Requests of newer P instances", why: "AWS does not document its code" }],
  });
});
