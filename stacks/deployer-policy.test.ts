import { expect, test } from "vitest";
import clusterPolicy from "./cluster/deployer-policy.json" with { type: "json" };
import deployerPolicy from "./deployer-policy.json" with { type: "json" };

/** Calls of SST before the first stage of a region (its documentation, "IAM Credentials", "Bootstrap"). */
const bootstrap = [
  ["s3:CreateBucket", "arn:aws:s3:::sst-state-0"],
  ["s3:PutBucketVersioning", "arn:aws:s3:::sst-state-0"],
  ["s3:PutBucketNotification", "arn:aws:s3:::sst-asset-0"],
  ["ecr:CreateRepository", "arn:aws:ecr:us-east-1:111111111111:repository/sst-asset"],
  ["ecr:DescribeRepositories", "arn:aws:ecr:us-east-1:111111111111:repository/sst-asset"],
  ["ssm:GetParameter", "arn:aws:ssm:us-east-1:111111111111:parameter/sst/bootstrap"],
  ["ssm:PutParameter", "arn:aws:ssm:us-east-1:111111111111:parameter/sst/bootstrap"],
] as const;

test("the deployer may create the resources that SST needs in a region before its first stage", () => {
  const refused = bootstrap.filter(
    ([action, resource]) =>
      !deployerPolicy.Statement.some(
        (entry) =>
          [entry.Action].flat().some((pattern) => matches(pattern, action)) && matches(entry.Resource, resource),
      ),
  );

  expect(refused).toEqual([]);
});

const arn = (resource: string) => `arn:aws:eks:us-east-1:111111111111:${resource}`;

test.each([
  ["eks:CreateCluster", "cluster"],
  ["eks:DeleteCluster", "cluster"],
  ["eks:UpdateClusterConfig", "cluster"],
  ["eks:CreateNodegroup", "cluster"],
  ["eks:CreateAddon", "cluster"],
  ["eks:DeleteNodegroup", "nodegroup"],
  ["eks:UpdateNodegroupVersion", "nodegroup"],
  ["eks:DeleteAddon", "addon"],
])("the deployer of a stage's own cluster may %s of clusters named berth-*, and of no other", (action, kind) => {
  const rest = { cluster: "", nodegroup: "/a10g-us-east-1a/0a1b", addon: "/coredns/0a1b" }[kind];
  const isAllowed = (cluster: string) =>
    [...deployerPolicy.Statement, ...clusterPolicy.Statement].some(
      (entry) =>
        [entry.Action].flat().some((pattern) => matches(pattern, action)) &&
        [entry.Resource].flat().some((pattern) => matches(pattern, arn(`${kind}/${cluster}${rest}`))),
    );

  expect([isAllowed("berth-dev"), isAllowed("payments")]).toEqual([true, false]);
});

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^${pattern.split("*").map(RegExp.escape).join(".*")}$`).test(text);
}
