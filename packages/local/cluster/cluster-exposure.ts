import { RUN_SSH_PORT } from "#kubernetes/access/ssh-service.ts";
import type { WebAddresses } from "#kubernetes/access/web-parts.ts";

/** Ways into runs that the cluster itself provides, instead of this machine. */
export interface Exposure {
  /** Port of the SSH server in every run. If undefined, this machine forwards SSH. */
  readonly sshPort: number | undefined;
  /** If undefined, this machine forwards pages. */
  readonly web: WebAddresses | undefined;
}

interface Settings {
  readonly CLUSTER_SSH: "forward" | "nodeport";
  readonly INGRESS_CLASS?: string | undefined;
  readonly INGRESS_ANNOTATIONS?: Readonly<Record<string, string>> | undefined;
  readonly TOOLS_IMAGE?: string | undefined;
}

/**
 * Reads the exposure from the settings. `domain` is undefined unless it was set. Throws an error that names the
 * setting if one lacks what it needs.
 */
export function chooseExposure(settings: Settings, domain: string | undefined): Exposure {
  const { CLUSTER_SSH, INGRESS_CLASS: ingressClass, INGRESS_ANNOTATIONS: annotations, TOOLS_IMAGE } = settings;
  const bad: string[] = [];
  if (CLUSTER_SSH === "nodeport" && !TOOLS_IMAGE)
    bad.push("CLUSTER_SSH=nodeport needs TOOLS_IMAGE: it contains the SSH server of runs");
  if (annotations && !ingressClass) bad.push("INGRESS_ANNOTATIONS needs INGRESS_CLASS");
  if (ingressClass && !domain) bad.push("INGRESS_CLASS needs DOMAIN, which must resolve to that ingress controller");
  if (ingressClass && !annotations)
    bad.push(
      "INGRESS_CLASS needs INGRESS_ANNOTATIONS, which make its controller authorize each page: otherwise pages are public",
    );
  if (bad.length > 0) throw new Error(`Bad settings:\n${bad.map((line) => `  ${line}`).join("\n")}`);
  return {
    sshPort: CLUSTER_SSH === "nodeport" ? RUN_SSH_PORT : undefined,
    web: ingressClass && domain ? { domain, ingressClass, ...(annotations && { annotations }) } : undefined,
  };
}
