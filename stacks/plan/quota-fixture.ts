import { onTestFinished } from "vitest";
import { fakeKeyVariables, startFakeService, type Trouble } from "#tests/aws/fake-service.ts";

interface Quotas {
  /** By service and code: `ec2/L-417A185B`. */
  readonly values: Readonly<Record<string, number>>;
  readonly defaults?: Readonly<Record<string, number>>;
  readonly trouble?: readonly Trouble[];
}

/** Starts a Service Quotas with these values. Returns the environment of its clients. */
export async function startQuotas({ values, defaults = {}, trouble = [] }: Quotas) {
  const answers = { GetServiceQuota: values, GetAWSDefaultServiceQuota: defaults };
  const service = await startFakeService(
    "servicequotas",
    (code) => ({ status: 403, body: JSON.stringify({ __type: code }) }),
    ({ headers, body }) => {
      const { ServiceCode, QuotaCode } = JSON.parse(Buffer.from(body).toString());
      const [, known = {}] =
        Object.entries(answers).find(([name]) => headers["x-amz-target"] === `ServiceQuotasV20190624.${name}`) ?? [];
      const Value = known[`${ServiceCode}/${QuotaCode}`];
      if (Value === undefined) return { status: 400, body: JSON.stringify({ __type: "NoSuchResourceException" }) };
      return { status: 200, body: JSON.stringify({ Quota: { QuotaCode, Value } }) };
    },
  );
  onTestFinished(service.stop);
  service.trouble(trouble);
  return { AWS_ENDPOINT_URL_SERVICE_QUOTAS: service.endpoint, ...fakeKeyVariables };
}
