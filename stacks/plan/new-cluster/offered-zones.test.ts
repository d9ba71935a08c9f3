import { afterEach, expect, test, vi } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import { readStage } from "../../stage.ts";
import { startSts } from "../account-fixture.ts";
import { answerOfferings, startEc2 } from "./ec2-fixture.ts";
import { checkZones } from "./offered-zones.ts";

const both = ["us-east-1a", "us-east-1b"];
const all = {
  "m7i.large": both,
  "p5.48xlarge": both,
  "g5.12xlarge": both,
  "p5e.48xlarge": both,
  "p4d.24xlarge": both,
  "c7g.8xlarge": both,
};

afterEach(() => vi.unstubAllEnvs());

async function check(offered: Readonly<Record<string, readonly string[]>>, more = {}, settings = {}) {
  for (const [name, value] of Object.entries({ ...(await startEc2(answerOfferings(offered))), ...more }))
    vi.stubEnv(name, value);
  const { newCluster } = readStage("dev", newClusterSettings);
  if (!newCluster) throw new Error("The stage makes no cluster");
  return checkZones(newCluster, { AWS_REGION: "us-east-1", ...settings });
}

test("zones that offer each type of a new cluster have no findings", async () => {
  expect(await check(all)).toEqual({ findings: [], leftOut: [] });
});

test("a zone without the type of a group is found, with the zones that have it", async () => {
  const { findings } = await check({ ...all, "p5.48xlarge": ["us-east-1d", "us-east-1b"], "c7g.8xlarge": [] });

  expect(findings).toEqual([
    {
      what: "group h100 in us-east-1a (EKS_NODE_GROUPS)",
      missing: "AWS has no p5.48xlarge in this zone",
      todo: "It is in us-east-1b, us-east-1d",
    },
    {
      what: "group arm in us-east-1b (EKS_NODE_GROUPS)",
      missing: "AWS has no c7g.8xlarge in this zone",
      todo: "Choose another type, or another region",
    },
  ]);
});

test("a zone without the machines of the cluster's own pods is found, and so is one that does not exist", async () => {
  const { findings } = await check({ ...all, "m7i.large": ["us-east-1a", "us-east-1c"] });

  expect(findings).toMatchObject([{ what: "zone us-east-1b (EKS_ZONES)", todo: "It is in us-east-1a, us-east-1c" }]);
});

test("without the right to ask EC2, the check is left out", async () => {
  const { findings, leftOut } = await check(all, { AWS_ACCESS_KEY_ID: "AKIAOTHER" });

  expect(findings).toEqual([]);
  expect(leftOut).toMatchObject([{ why: expect.stringContaining("EC2 gave no answer (") }]);
});

test("with credentials of another account, the check is left out, and with those of the stage's account it is made", async () => {
  const sts = await startSts("111122223333");

  const other = await check({}, sts, { DEPLOY_ACCOUNT: "444455556666" });
  const own = await check({}, sts, { DEPLOY_ACCOUNT: "111122223333" });

  const why = "the AWS credentials are of account 111122223333, and the stage is deployed to 444455556666";
  expect(other).toEqual({ findings: [], leftOut: [{ what: "zones that offer the machine types", why }] });
  expect(own.leftOut).toEqual([]);
  expect(own.findings).not.toEqual([]);
});
