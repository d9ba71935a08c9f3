import type { ClusterReport } from "../../../packages/core/ports/cluster-report.ts";
import { type AwsClient, type ClientOptions, type Environment, findClientOfAccount } from "../aws-client.ts";

interface Check {
  readonly what: string;
  /** `EC2`, `EKS`. */
  readonly service: string;
}

/** Makes a check with a client of the stage's account, or reports it as left out if the service gives no answer. */
export async function askAccount<Client extends AwsClient>(
  { what, service }: Check,
  environment: Environment,
  open: (options: ClientOptions) => Client,
  check: (client: Client) => Promise<ClusterReport>,
): Promise<ClusterReport> {
  const leaveOut = (why: string) => ({ findings: [], leftOut: [{ what, why }] });
  const client = await findClientOfAccount(environment, open);
  if (typeof client === "string") return leaveOut(client);
  try {
    return await check(client);
  } catch (error) {
    return leaveOut(`${service} gave no answer (${error instanceof Error ? error.name : error})`);
  } finally {
    client.destroy();
  }
}
