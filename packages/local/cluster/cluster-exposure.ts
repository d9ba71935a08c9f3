import type { WebAddresses } from "#kubernetes/access/web-parts.ts";

/** How the cluster itself lets people into its runs, in place of this machine. */
export interface Exposure {
  /** Where the SSH server of every run listens; undefined: they are entered through this machine. */
  readonly sshPort: number | undefined;
  /** undefined: pages lead through this machine. */
  readonly web: WebAddresses | undefined;
}

interface Settings {
  readonly CLUSTER_SSH: "forward" | "nodeport";
  readonly INGRESS_CLASS?: string | undefined;
  readonly INGRESS_ANNOTATIONS?: Readonly<Record<string, string>> | undefined;
  readonly TOOLS_IMAGE?: string | undefined;
}

/** A user other than root may listen there. */
const sshPort = 2222;

/**
 * What the settings of a stack say of it. `domain`: as it was set; undefined: it was not. Throws in words, naming the
 * setting, where one lacks what it needs.
 */
export function chooseExposure(settings: Settings, domain: string | undefined): Exposure {
  const { CLUSTER_SSH, INGRESS_CLASS: ingressClass, INGRESS_ANNOTATIONS: annotations, TOOLS_IMAGE } = settings;
  const bad: string[] = [];
  if (CLUSTER_SSH === "nodeport" && !TOOLS_IMAGE)
    bad.push("CLUSTER_SSH=nodeport needs TOOLS_IMAGE: its SSH server is what nodes lead to");
  if (annotations && !ingressClass) bad.push("INGRESS_ANNOTATIONS needs INGRESS_CLASS");
  if (ingressClass && !domain) bad.push("INGRESS_CLASS needs DOMAIN, whose names lead to that ingress controller");
  if (ingressClass && !annotations)
    bad.push(
      "INGRESS_CLASS needs INGRESS_ANNOTATIONS, by which its controller asks who may see a page: else everybody may",
    );
  if (bad.length > 0) throw new Error(`Bad settings:\n${bad.map((line) => `  ${line}`).join("\n")}`);
  return {
    sshPort: CLUSTER_SSH === "nodeport" ? sshPort : undefined,
    web: ingressClass && domain ? { domain, ingressClass, ...(annotations && { annotations }) } : undefined,
  };
}
