import { expect, it } from "vitest";
import { checkVersion } from "./server-version.ts";

/** Checks a server that has such a version. */
async function check(major: string, minor: string, own?: { readonly stage: string; readonly version: string }) {
  const get = async <Body>() => ({ major, minor }) as Body;
  const { findings } = await checkVersion({ get }, own);
  return findings.map(({ missing, todo }) => `${missing}. ${todo}`);
}

const own = { stage: "dev", version: "1.35" };

it("a cluster that exists may have any version from 1.30 on", async () => {
  for (const minor of ["30", "34+", "35", "99"]) expect(await check("1", minor)).toEqual([]);
  expect(await check("2", "0")).toEqual([]);
});

it("a version that is none is not judged", async () => {
  const odd = [{}, { major: "v1", minor: "20" }, { major: "1", minor: "" }, { major: "1", minor: "x" }];
  const leftOut = [{ what: "version of Kubernetes", why: "the API server gave none" }];

  for (const answer of odd) {
    const get = async <Body>() => answer as Body;
    expect(await checkVersion({ get }, own)).toEqual({ findings: [], leftOut });
  }
});

it("an older cluster is named, with what to do", async () => {
  const todo = "Upgrade it, one minor version at a time: docs/deploy.md#other-clusters";

  expect(await check("1", "29+")).toEqual([`the cluster has 1.29, and Berth needs 1.30 or newer. ${todo}`]);
  expect(await check("1", "9")).toEqual([`the cluster has 1.9, and Berth needs 1.30 or newer. ${todo}`]);
});

it("a stage's own cluster has exactly the version that Berth deploys", async () => {
  const guide = "docs/own-cluster.md#change-upgrade-remove";

  expect(await check("1", "35+", own)).toEqual([]);
  expect(await check("1", "34+", own)).toEqual([
    `the cluster has 1.34, and this version of Berth deploys 1.35. npm run deploy -- --stage dev upgrades it: ${guide}`,
  ]);
  expect(await check("1", "36", own)).toEqual([
    "the cluster has 1.36, and this version of Berth deploys 1.35. Deploy a newer version of Berth, whose autoscaler " +
      `and add-ons are those of 1.36: ${guide}`,
  ]);
});
