import { expect, test } from "vitest";
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

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^${pattern.split("*").map(RegExp.escape).join(".*")}$`).test(text);
}
