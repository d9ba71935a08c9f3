type Text = $util.Input<string>;

/** A service account of a cluster. */
interface PodAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * Returns the trust policy of a role for the pods of one service account of one cluster. Pod Identity adds these tags to
 * each session (EKS User Guide, "Grant Pods access to AWS resources based on tags").
 */
export function podTrust(cluster: Text, { namespace, serviceAccount }: PodAccount): $util.Output<string> {
  const tags = {
    "aws:RequestTag/eks-cluster-arn": cluster,
    "aws:RequestTag/kubernetes-namespace": namespace,
    "aws:RequestTag/kubernetes-service-account": serviceAccount,
  };
  const statement = {
    Effect: "Allow",
    Principal: { Service: "pods.eks.amazonaws.com" },
    Action: ["sts:AssumeRole", "sts:TagSession"],
    Condition: { StringEquals: tags },
  };
  return $util.jsonStringify({ Version: "2012-10-17", Statement: [statement] });
}
