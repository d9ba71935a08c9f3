import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { fakeKey, startFakeService, type Trouble } from "#tests/aws/fake-service.ts";
import { startSts } from "./account-fixture.ts";
import type { VcpuNeed } from "./planned-machines.ts";
import { checkQuotas } from "./quota-check.ts";

const needs = [
  { vcpus: 480, name: "Running On-Demand P instances", code: "L-417A185B" },
  { vcpus: 288, name: "All G and VT Spot Instance Requests", code: "L-3819A6DF" },
];

afterEach(() => vi.unstubAllEnvs());

interface Answers {
  readonly defaults?: Readonly<Record<string, number>>;
  readonly of?: readonly VcpuNeed[];
  readonly trouble?: readonly Trouble[];
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts Service Quotas with these values by code, and checks as a user who may ask it. */
async function check(
  values: Readonly<Record<string, number>>,
  { defaults = {}, of = needs, trouble = [], settings = {} }: Answers = {},
) {
  const answers = { GetServiceQuota: values, GetAWSDefaultServiceQuota: defaults };
  const service = await startFakeService(
    "servicequotas",
    (code) => ({ status: 403, body: JSON.stringify({ __type: code }) }),
    ({ headers, body }) => {
      const { ServiceCode, QuotaCode } = JSON.parse(Buffer.from(body).toString());
      const [, known = {}] =
        Object.entries(answers).find(([name]) => headers["x-amz-target"] === `ServiceQuotasV20190624.${name}`) ?? [];
      const Value = ServiceCode === "ec2" ? known[QuotaCode] : undefined;
      if (Value === undefined) return { status: 400, body: JSON.stringify({ __type: "NoSuchResourceException" }) };
      return { status: 200, body: JSON.stringify({ Quota: { QuotaCode, Value } }) };
    },
  );
  onTestFinished(service.stop);
  service.trouble(trouble);
  vi.stubEnv("AWS_ACCESS_KEY_ID", fakeKey.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", fakeKey.secretAccessKey);
  vi.stubEnv("AWS_SESSION_TOKEN", fakeKey.sessionToken);
  return checkQuotas(of, { AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_SERVICE_QUOTAS: service.endpoint, ...settings });
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
      todo:
        "As an identity with servicequotas:RequestServiceQuotaIncrease: aws service-quotas request-service-quota-increase " +
        "--region us-east-1 --service-code ec2 --quota-code L-417A185B --desired-value 480",
    },
  ]);
});

test("a quota that was never changed in this account has the default of AWS", async () => {
  const { findings, leftOut } = await check({ "L-417A185B": 480 }, { defaults: { "L-417A185B": 0, "L-3819A6DF": 0 } });

  expect(leftOut).toEqual([]);
  expect(findings).toMatchObject([{ missing: "it is 0 vCPUs, and the groups of this stage need 288 at their most" }]);
});

test("a repeated call is logged to standard error, because the plan is on standard output", async () => {
  const stdout = vi.spyOn(process.stdout, "write");
  const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => {
    vi.restoreAllMocks();
  });

  const report = await check({ "L-417A185B": 480, "L-3819A6DF": 288 }, { trouble: ["hang up"] });

  expect(report).toEqual({ findings: [], leftOut: [] });
  expect(stderr.mock.calls.join()).toContain("AWS call repeated");
  expect(stdout.mock.calls.join()).not.toContain("AWS call repeated");
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

  expect(await check({}, { of: [need] })).toEqual({
    findings: [],
    leftOut: [{ what: "quota Spot Instance Requests of newer P instances", why: "AWS does not document its code" }],
  });
});

test("quotas of another account than the stage's are left out", async () => {
  for (const [name, value] of Object.entries(await startSts("111122223333"))) vi.stubEnv(name, value);

  const { findings, leftOut } = await check({ "L-417A185B": 0 }, { settings: { DEPLOY_ACCOUNT: "444455556666" } });

  const why = "the AWS credentials are of account 111122223333, and the stage is deployed to 444455556666";
  expect(findings).toEqual([]);
  expect(leftOut).toEqual(needs.map(({ name }) => ({ what: `quota ${name}`, why })));
});
