import { expect, test } from "vitest";
import { readConfig } from "#aws/settings/config.ts";
import { chooseExposure } from "./cluster-exposure.ts";

const names = ["CLUSTER_SSH", "INGRESS_CLASS", "INGRESS_ANNOTATIONS", "TOOLS_IMAGE", "DOMAIN"] as const;
const annotations = { "nginx.ingress.kubernetes.io/auth-url": "https://berth.example/allowed" };
const read = (environment: Record<string, string>) =>
  chooseExposure(readConfig(names, environment), environment.DOMAIN);
const ingress = {
  INGRESS_CLASS: "nginx",
  DOMAIN: "gpu.example",
  INGRESS_ANNOTATIONS: JSON.stringify(annotations),
};

test("runs are reached through this machine by default", () => {
  expect(read({})).toEqual({ sshPort: undefined, web: undefined });
});

test("runs are reached by SSH through nodes and pages through an ingress, if the settings say so", () => {
  expect(read({ CLUSTER_SSH: "nodeport", TOOLS_IMAGE: "registry/tools:1", ...ingress })).toEqual({
    sshPort: 2222,
    web: { domain: "gpu.example", ingressClass: "nginx", annotations },
  });
});

test.each([
  [{ CLUSTER_SSH: "nodeport" }, "CLUSTER_SSH=nodeport needs TOOLS_IMAGE"],
  [{ CLUSTER_SSH: "loadbalancer" }, "CLUSTER_SSH must be forward or nodeport"],
  [{ ...ingress, DOMAIN: "" }, "INGRESS_CLASS needs DOMAIN"],
  [{ ...ingress, INGRESS_ANNOTATIONS: "" }, "INGRESS_CLASS needs INGRESS_ANNOTATIONS"],
  [{ ...ingress, INGRESS_CLASS: "" }, "INGRESS_ANNOTATIONS needs INGRESS_CLASS"],
  [{ ...ingress, INGRESS_CLASS: "a b" }, "INGRESS_CLASS must be the name of an ingress class"],
  [{ ...ingress, INGRESS_ANNOTATIONS: "auth-url" }, "INGRESS_ANNOTATIONS must be JSON like"],
  [{ ...ingress, INGRESS_ANNOTATIONS: "{}" }, "INGRESS_ANNOTATIONS must be JSON like"],
  [{ ...ingress, INGRESS_ANNOTATIONS: '{"a b":"c"}' }, "INGRESS_ANNOTATIONS must be JSON like"],
  [{ ...ingress, INGRESS_ANNOTATIONS: '{"a":1}' }, "INGRESS_ANNOTATIONS must be JSON like"],
])("the settings %j are refused with the missing one", (environment: Record<string, string>, words) => {
  expect(() => read(environment)).toThrow(words);
});
