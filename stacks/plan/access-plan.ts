import type { Stage } from "../stage.ts";
import type { BesidePrice } from "./costs.ts";

/** Returns the lines of a plan about access: the setting, the DNS names to create, and the prices of a month. */
export function accessLines(
  { access, gateway }: Pick<Stage, "access" | "gateway">,
  prices: readonly BesidePrice[],
): string[] {
  if (!gateway) return [`ACCESS=${access}: ${withoutGateway[access]}`];
  const { ssh, pages } = gateway;
  return [
    "ACCESS=gateway: SSH and pages, by the gateway's load balancer. Point these DNS names at it:",
    `  *.${pages}  pages`,
    `  ${ssh}  SSH${ssh.endsWith(`.${pages}`) ? ", which the first name includes" : ""}`,
    "Its costs, a month of each unit:",
    ...prices.map(({ what: subject, usd, unit }) => `  ${`$${usd.toFixed(2)}`.padStart(10)}  ${subject}, each ${unit}`),
  ];
}

const withoutGateway: Readonly<Record<Stage["access"], string>> = {
  gateway: "the gateway has no hosts",
  nodeport: "SSH at a port of the job's node, from networks that reach nodes. No load balancer, no DNS names, no pages",
  none: "nobody gets in. Each job with keys, users or Jupyter says so",
};
