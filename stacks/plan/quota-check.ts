import { EKSClient } from "@aws-sdk/client-eks";
import { joinReports } from "../../packages/aws/cluster-check/findings.ts";
import { jsonLog } from "../../packages/aws/log.ts";
import { type AwsService, AwsServiceError, callService } from "../../packages/aws/service-call.ts";
import type { ClusterReport } from "../../packages/core/ports/cluster-report.ts";
import { type Environment, findClientOfAccount } from "./aws-client.ts";

/** A quota, and the least value that suffices. */
export interface QuotaNeed {
  readonly service: "ebs" | "ec2" | "eks" | "lambda" | "vpc";
  readonly name: string;
  /** Undefined if AWS does not document the quota. */
  readonly code: string | undefined;
  readonly least: number;
  readonly unit: string;
  /** Says what needs it, after "it is 5 VPCs, and". */
  readonly reason: string;
}

interface Quotas {
  readonly region: string;
  /** Returns the value of a service's quota by its code. Throws `AwsServiceError`. */
  find(service: string, code: string): Promise<number>;
}

/** Returns the quotas that are too small. */
export async function checkQuotas(needs: readonly QuotaNeed[], environment: Environment): Promise<ClusterReport> {
  const quotas = await openQuotas(environment);
  if (typeof quotas === "string") return { findings: [], leftOut: needs.map((need) => leaveOut(need, quotas)) };
  return joinReports(await Promise.all(needs.map((need) => checkQuota(need, quotas))));
}

async function checkQuota(need: QuotaNeed, quotas: Quotas): Promise<ClusterReport> {
  const { service, name, code, least, unit, reason } = need;
  if (code === undefined) return { findings: [], leftOut: [leaveOut(need, "AWS does not document its code")] };
  try {
    const found = await quotas.find(service, code);
    if (!Number.isFinite(found)) return { findings: [], leftOut: [leaveOut(need, "Service Quotas gave no number")] };
    if (found >= least) return { findings: [], leftOut: [] };
    const missing = `it is ${found} ${unit}, and ${reason}`;
    const right = "As an identity with servicequotas:RequestServiceQuotaIncrease";
    const call = `aws service-quotas request-service-quota-increase --region ${quotas.region}`;
    const todo = `${right}: ${call} --service-code ${service} --quota-code ${code} --desired-value ${least}`;
    return { findings: [{ what: `quota ${name}`, missing, todo }], leftOut: [] };
  } catch (error) {
    const why = error instanceof AwsServiceError ? error.name : "no answer";
    return { findings: [], leftOut: [leaveOut(need, `Service Quotas does not tell it (${why})`)] };
  }
}

function leaveOut({ name }: QuotaNeed, why: string) {
  return { what: `quota ${name}`, why };
}

/** Opens Service Quotas as the deployer's AWS identity, or returns why that is not possible. */
async function openQuotas(environment: Environment): Promise<Quotas | string> {
  const eks = await findClientOfAccount(environment, (options) => new EKSClient(options));
  if (typeof eks === "string") return eks;
  const [region, { accessKeyId, secretAccessKey, sessionToken }] = await Promise.all([
    eks.config.region(),
    eks.config.credentials(),
  ]);
  eks.destroy();
  const url = environment.AWS_ENDPOINT_URL_SERVICE_QUOTAS || `https://servicequotas.${region}.amazonaws.com`;
  const credentials = () => ({ accessKeyId, secretAccessKey, sessionToken });
  // Standard output holds only the plan.
  const log = jsonLog((line) => process.stderr.write(line));
  const service = { name: "servicequotas", region, url, credentials, log };
  return {
    region,
    find: (ServiceCode, QuotaCode) =>
      findQuota(service, "GetServiceQuota", { ServiceCode, QuotaCode }).catch((error: unknown) => {
        // An account has no value of its own for a quota that was never changed there.
        if (!(error instanceof AwsServiceError) || error.name !== "NoSuchResourceException") throw error;
        return findQuota(service, "GetAWSDefaultServiceQuota", { ServiceCode, QuotaCode });
      }),
  };
}

async function findQuota(service: AwsService, name: string, quota: object): Promise<number> {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `ServiceQuotasV20190624.${name}` };
  const body = JSON.stringify(quota);
  const answer = await callService(service, { name, method: "POST", path: "/", headers, body });
  return (JSON.parse(Buffer.from(answer).toString()) as QuotaAnswer).Quota.Value;
}

/** Service Quotas API Reference, "GetServiceQuota" and "GetAWSDefaultServiceQuota". */
interface QuotaAnswer {
  readonly Quota: { readonly Value: number };
}
