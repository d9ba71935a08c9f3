import type { Stage } from "../stage.ts";
import type { BesidePrice } from "./costs.ts";

/**
 * Returns the lines of a plan about access: the setting, the DNS names to create, a warning if pages are same-site with
 * the console, and the prices of a month.
 */
export function accessLines(
  { access, gateway, domain }: Pick<Stage, "access" | "gateway" | "domain">,
  prices: readonly BesidePrice[],
): string[] {
  if (!gateway) return [`ACCESS=${access}: ${withoutGateway[access]}`];
  const { ssh, pages, isPrivate } = gateway;
  const paid = prices.filter(({ ofPublic }) => !(isPrivate && ofPublic));
  return [
    "ACCESS=gateway: SSH and pages, by the gateway's load balancer. Point these DNS names at it:",
    `  *.${pages}  pages`,
    `  ${ssh}  SSH${ssh.endsWith(`.${pages}`) ? ", which the first name includes" : ""}`,
    isPrivate
      ? "GATEWAY_ACCESS=private: only networks that reach the cluster's network reach it."
      : "GATEWAY_ACCESS=public, the default: the internet reaches it.",
    ...sameSiteWarning(pages, domain?.name),
    "Its costs, a month of each unit:",
    ...paid.map(({ what: subject, usd, unit }) => `  ${`$${usd.toFixed(2)}`.padStart(10)}  ${subject}, each ${unit}`),
  ];
}

/** Without a domain of its own, the console has CloudFront's, which is a public suffix. */
function sameSiteWarning(pages: string, console: string | undefined): string[] {
  if (console === undefined || registrableDomain(pages) !== registrableDomain(console)) return [];
  return [
    `WARNING: pages of jobs below ${pages} are same-site with the console at ${console}.`,
    "  Berth refuses their requests, but browsers then protect its cookie less. Use a DOMAIN of its own for pages.",
  ];
}

/**
 * Returns the domain that a browser takes for one site. Browsers use the Public Suffix List; this takes short second
 * labels below a country for public suffixes, as in co.uk. A mistake costs a warning, and changes nothing else.
 */
function registrableDomain(host: string): string {
  const labels = host.toLowerCase().split(".");
  const [second = "", top = ""] = labels.slice(-2);
  return labels.slice(top.length === 2 && second.length <= 3 ? -3 : -2).join(".");
}

const withoutGateway: Readonly<Record<Stage["access"], string>> = {
  gateway: "the gateway has no hosts",
  nodeport: "SSH at a port of the job's node, from networks that reach nodes. No load balancer, no DNS names, no pages",
  none: "nobody gets in. Each job with keys, users or Jupyter says so",
};
