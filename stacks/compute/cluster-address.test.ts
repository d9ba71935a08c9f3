import { expect, test } from "vitest";
import { readClusterAddress } from "./cluster-address.ts";

test("a stage that configures the address of its API server asks EKS for nothing", () => {
  const settings = { EKS_ENDPOINT: "https://eks.example", EKS_CA: "YQ==" };

  // Outside of a deployment there is no provider to ask.
  expect(readClusterAddress({ eksCluster: "gpus", settings })).toEqual({});
  expect(() => readClusterAddress({ eksCluster: "gpus", settings: { ...settings, EKS_CA: "" } })).toThrow(
    "aws is not defined",
  );
});
