import { joinReports } from "../../packages/aws/cluster-check/findings.ts";
import { AwsServiceError, callService } from "../../packages/aws/service-call.ts";
import type { ClusterReport } from "../../packages/core/ports/cluster-report.ts";
import type { Environment } from "./aws-client.ts";
import { findEksClient } from "./cluster-plan.ts";
import type { VcpuNeed } from "./planned-machines.ts";

type Ask = (code: string) => Promise<number>;

/** Returns the quotas of EC2 that are too small for a new cluster at its most. */
export async function checkQuotas(needs: readonly VcpuNeed[], environment: Environment): Promise<ClusterReport> {
  const ask = await openQuotas(environment);
  if (typeof ask === "string") return { findings: [], leftOut: needs.map((need) => leaveOut(need, ask)) };
  return joinReports(await Promise.all(needs.map((need) => checkQuota(need, ask))));
}

async function checkQuota(need: VcpuNeed, ask: Ask): Promise<ClusterReport> {
  const { vcpus, name, code } = need;
  if (code === undefined) return { findings: [], leftOut: [leaveOut(need, "AWS does not document its code")] };
  try {
    const found = await ask(code);
    if (found >= vcpus) return { findings: [], leftOut: [] };
    const missing = `it is ${found} vCPUs, and the groups of this stage need ${vcpus} at their most`;
    const todo = `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${code} --desired-value ${vcpus}`;
    return { findings: [{ what: `quota ${name}`, missing, todo }], leftOut: [] };
  } catch (error) {
    const why = error instanceof AwsServiceError ? error.name : "no answer";
    return { findings: [], leftOut: [leaveOut(need, `Service Quotas does not tell it (${why})`)] };
  }
}

function leaveOut({ name }: VcpuNeed, why: string) {
  return { what: `quota ${name}`, why };
}

/** Returns the call, as the deployer's AWS identity, or why it cannot be made. */
async function openQuotas(environment: Environment): Promise<Ask | string> {
  const eks = await findEksClient(environment);
  if (typeof eks === "string") return eks;
  const [region, { accessKeyId, secretAccessKey, sessionToken }] = await Promise.all([
    eks.config.region(),
    eks.config.credentials(),
  ]);
  eks.destroy();
  const url = environment.AWS_ENDPOINT_URL_SERVICE_QUOTAS || `https://servicequotas.${region}.amazonaws.com`;
  const credentials = () => ({ accessKeyId, secretAccessKey, sessionToken });
  const service = { name: "servicequotas", region, url, credentials };
  return async (QuotaCode) => {
    const headers = {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "ServiceQuotasV20190624.GetServiceQuota",
    };
    const body = JSON.stringify({ ServiceCode: "ec2", QuotaCode });
    const answer = await callService(service, { name: "GetServiceQuota", method: "POST", path: "/", headers, body });
    return (JSON.parse(Buffer.from(answer).toString()) as QuotaAnswer).Quota.Value;
  };
}

/** Service Quotas API Reference, "GetServiceQuota". */
interface QuotaAnswer {
  readonly Quota: { readonly Value: number };
}
