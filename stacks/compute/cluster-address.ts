import type { Stage } from "../stage.ts";

type Text = $util.Input<string>;

/** Settings of functions that lead to the API server. */
export type ClusterAddress = Readonly<Partial<Record<"EKS_ENDPOINT" | "EKS_CA", Text>>>;

/**
 * Returns the address of the API server that EKS has at the deployment. A cluster keeps it for life, and functions then
 * need not ask. The stage's own settings override it.
 */
export function readClusterAddress({ eksCluster, settings }: Pick<Stage, "eksCluster" | "settings">): ClusterAddress {
  if (settings.EKS_ENDPOINT && settings.EKS_CA) return {};
  const found = aws.eks.getClusterOutput({ name: eksCluster });
  const getKnown = (text: string | undefined, status: string) => {
    if (text) return text;
    throw new Error(`The EKS cluster ${eksCluster} has no endpoint yet: it is ${status}`);
  };
  return {
    EKS_ENDPOINT: found.apply(({ endpoint, status }) => getKnown(endpoint, status)),
    EKS_CA: found.apply(({ certificateAuthorities: [first], status }) => getKnown(first?.data, status)),
  };
}
