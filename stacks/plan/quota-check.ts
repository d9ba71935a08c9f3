import { EKSClient } from "@aws-sdk/client-eks";
import { joinReports } from "../../packages/aws/cluster-check/findings.ts";
import { jsonLog } from "../../packages/aws/log.ts";
import { type AwsService, AwsServiceError, callService } from "../../packages/aws/service-call.ts";
import type { ClusterReport } from "../../packages/core/ports/cluster-report.ts";
import { type Environment, findClientOfAccount } from "./aws-client.ts";
import type { VcpuNeed } from "./planned-machines.ts";

interface Quotas {
  readonly region: string;
  /** Returns the value of a quota of EC2 by its code. Throws `AwsServiceError`. */
  find(code: string): Promise<number>;
}

/** Returns the quotas of EC2 that are too small for a new cluster at its most. */
export async function checkQuotas(needs: readonly VcpuNeed[], environment: Environment): Promise<ClusterReport> {
  const quotas = await openQuotas(environment);
  if (typeof quotas === "string") return { findings: [], leftOut: needs.map((need) => leaveOut(need, quotas)) };
  return joinReports(await Promise.all(needs.map((need) => checkQuota(need, quotas))));
}

async function checkQuota(need: VcpuNeed, quotas: Quotas): Promise<ClusterReport> {
  const { vcpus, name, code } = need;
  if (code === undefined) return { findings: [], leftOut: [leaveOut(need, "AWS does not document its code")] };
  try {
    const found = await quotas.find(code);
    if (found >= vcpus) return { findings: [], leftOut: [] };
    const missing = `it is ${found} vCPUs, and the groups of this stage need ${vcpus} at their most`;
    const right = "As an identity with servicequotas:RequestServiceQuotaIncrease";
    const call = `aws service-quotas request-service-quota-increase --region ${quotas.region} --service-code ec2`;
    const todo = `${right}: ${call} --quota-code ${code} --desired-value ${vcpus}`;
    return { findings: [{ what: `quota ${name}`, missing, todo }], leftOut: [] };
  } catch (error) {
    const why = error instanceof AwsServiceError ? error.name : "no answer";
    return { findings: [], leftOut: [leaveOut(need, `Service Quotas does not tell it (${why})`)] };
  }
}

function leaveOut({ name }: VcpuNeed, why: string) {
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
    find: (code) =>
      findQuota(service, "GetServiceQuota", code).catch((error: unknown) => {
        // An account has no value of its own for a quota that was never changed there.
        if (!(error instanceof AwsServiceError) || error.name !== "NoSuchResourceException") throw error;
        return findQuota(service, "GetAWSDefaultServiceQuota", code);
      }),
  };
}

async function findQuota(service: AwsService, name: string, QuotaCode: string): Promise<number> {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `ServiceQuotasV20190624.${name}` };
  const body = JSON.stringify({ ServiceCode: "ec2", QuotaCode });
  const answer = await callService(service, { name, method: "POST", path: "/", headers, body });
  return (JSON.parse(Buffer.from(answer).toString()) as QuotaAnswer).Quota.Value;
}

/** Service Quotas API Reference, "GetServiceQuota" and "GetAWSDefaultServiceQuota". */
interface QuotaAnswer {
  readonly Quota: { readonly Value: number };
}
