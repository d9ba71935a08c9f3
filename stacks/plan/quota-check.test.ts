import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import type { Trouble } from "#tests/aws/fake-service.ts";
import { startSts } from "./account-fixture.ts";
import { checkQuotas, type QuotaNeed } from "./quota-check.ts";
import { startQuotas } from "./quota-fixture.ts";

const need = (name: string, code: string | undefined, least: number): QuotaNeed => {
  const reason = `the groups of this stage need ${least} at their most`;
  return { service: "ec2", name, code, least, unit: "vCPUs", reason };
};
const needs = [
  need("Running On-Demand P instances", "L-417A185B", 480),
  need("All G and VT Spot Instance Requests", "L-3819A6DF", 288),
];

afterEach(() => vi.unstubAllEnvs());

interface Answers {
  readonly defaults?: Readonly<Record<string, number>>;
  readonly of?: readonly QuotaNeed[];
  readonly trouble?: readonly Trouble[];
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts Service Quotas with these values by code, and checks as a user who may ask it. */
async function check(
  values: Readonly<Record<string, number>>,
  { defaults = {}, of = needs, trouble = [], settings = {} }: Answers = {},
) {
  const { AWS_ENDPOINT_URL_SERVICE_QUOTAS, ...credentials } = await startQuotas({ values, defaults, trouble });
  for (const [name, value] of Object.entries(credentials)) vi.stubEnv(name, value);
  return checkQuotas(of, { AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_SERVICE_QUOTAS, ...settings });
}

test("quotas that suffice have no findings", async () => {
  expect(await check({ "ec2/L-417A185B": 480, "ec2/L-3819A6DF": 1_000 })).toEqual({ findings: [], leftOut: [] });
});

test("a quota that is too small is found, with the call that raises it", async () => {
  const { findings, leftOut } = await check({ "ec2/L-417A185B": 479, "ec2/L-3819A6DF": 288 });

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
  const { findings, leftOut } = await check(
    { "ec2/L-417A185B": 480 },
    { defaults: { "ec2/L-417A185B": 0, "ec2/L-3819A6DF": 0 } },
  );

  expect(leftOut).toEqual([]);
  expect(findings).toMatchObject([{ missing: "it is 0 vCPUs, and the groups of this stage need 288 at their most" }]);
});

test("a repeated call is logged to standard error, because the plan is on standard output", async () => {
  const stdout = vi.spyOn(process.stdout, "write");
  const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => {
    vi.restoreAllMocks();
  });

  const report = await check({ "ec2/L-417A185B": 480, "ec2/L-3819A6DF": 288 }, { trouble: ["hang up"] });

  expect(report).toEqual({ findings: [], leftOut: [] });
  expect(stderr.mock.calls.join()).toContain("AWS call repeated");
  expect(stdout.mock.calls.join()).not.toContain("AWS call repeated");
});

test("a quota that AWS does not tell is left out, and the others are checked", async () => {
  const { findings, leftOut } = await check({ "ec2/L-417A185B": 0 });

  expect(findings).toHaveLength(1);
  expect(leftOut).toEqual([
    {
      what: "quota All G and VT Spot Instance Requests",
      why: "Service Quotas does not tell it (NoSuchResourceException)",
    },
  ]);
});

test("a quota without a code is left out", async () => {
  const undocumented = need("Spot Instance Requests of newer P instances", undefined, 384);

  expect(await check({}, { of: [undocumented] })).toEqual({
    findings: [],
    leftOut: [{ what: "quota Spot Instance Requests of newer P instances", why: "AWS does not document its code" }],
  });
});

test("a quota of another service is asked of that service", async () => {
  const vpcs: QuotaNeed = { ...need("VPCs per Region", "L-F678F1CE", 6), service: "vpc", unit: "VPCs", reason: "why" };

  const { findings } = await check({ "vpc/L-F678F1CE": 5, "ec2/L-F678F1CE": 9 }, { of: [vpcs] });

  expect(findings).toMatchObject([
    { missing: "it is 5 VPCs, and why", todo: expect.stringContaining(" --service-code vpc --quota-code L-F678F1CE ") },
  ]);
});

test("quotas of another account than the stage's are left out", async () => {
  for (const [name, value] of Object.entries(await startSts("111122223333"))) vi.stubEnv(name, value);

  const { findings, leftOut } = await check({ "ec2/L-417A185B": 0 }, { settings: { DEPLOY_ACCOUNT: "444455556666" } });

  const why = "the AWS credentials are of account 111122223333, and the stage is deployed to 444455556666";
  expect(findings).toEqual([]);
  expect(leftOut).toEqual(needs.map(({ name }) => ({ what: `quota ${name}`, why })));
});
