import { expect, it } from "vitest";
import { formatObjectName } from "#kubernetes/setup/manifests.ts";
import { readStage } from "../../stacks/stage.ts";
import { GatewaySettingsError, readWanted } from "./wanted.ts";

const settings = {
  AWS_REGION: "eu-west-1",
  DOMAIN: "berth.test",
  ALLOWED_ACCOUNTS: "111122223333",
  ALLOWED_ROLES: "Dev",
  LOGIN_SERVER_ID: "berth.test",
  ACCESS: "none",
};
const own = { ...settings, EKS_CLUSTER: "new", EKS_ZONES: "eu-west-1a,eu-west-1b" };
const group = { name: "a10g", type: "g5.12xlarge", max: 1, zones: ["eu-west-1a", "eu-west-1b"] };
const readOwned = async (environment: Readonly<Record<string, string>>) => {
  const { owned } = await readWanted(environment, readStage("dev", environment));
  return owned?.manifests ?? [];
};

it("only a stage that makes its cluster gets the autoscaler", async () => {
  const made = await readOwned({ ...own, EKS_NODE_GROUPS: JSON.stringify([group]) });

  expect(made.map(formatObjectName)).toContain("Deployment kube-system/cluster-autoscaler");
  expect(made.map(({ kind }) => kind)).not.toContain("DaemonSet");
  expect(await readOwned({ ...settings, EKS_CLUSTER: "gpus" })).toEqual([]);
});

it("groups with Amazon Linux get NVIDIA's device plugin in each of their zones, and others none", async () => {
  const groups = [group, { ...group, name: "old", ami: "AL2023_x86_64_NVIDIA" }];
  const made = await readOwned({ ...own, EKS_NODE_GROUPS: JSON.stringify(groups) });

  const plugin = JSON.stringify(made.find(({ kind }) => kind === "DaemonSet"));
  expect(plugin).toContain('"values":["old-eu-west-1a","old-eu-west-1b"]');
});

it("groups with EFA get its device plugin in each of their zones", async () => {
  const h100 = { ...group, name: "h100", type: "p5.48xlarge", efa: true };
  const made = await readOwned({ ...own, EKS_NODE_GROUPS: JSON.stringify([group, h100]) });

  const plugins = made.filter(({ kind }) => kind === "DaemonSet");
  expect(plugins.map(formatObjectName)).toEqual(["DaemonSet kube-system/aws-efa-k8s-device-plugin"]);
  expect(JSON.stringify(plugins)).toContain('"values":["h100-eu-west-1a","h100-eu-west-1b"]');
});

const prepull = { PREPULL_IMAGES: "torch:2, jax:1", TOOLS_IMAGE: "tools:1" };

it.each([
  ["a stage", readStage("dev", { ...settings, EKS_CLUSTER: "gpus" }), "DaemonSet berth-environments/berth-dev-prepull"],
  ["no stage", undefined, "DaemonSet berth-environments/berth-prepull"],
])("images to pull ahead add one DaemonSet for %s", async (_, stage, name) => {
  const { owned } = await readWanted({ ...settings, ...prepull }, stage);

  const made = owned?.manifests ?? [];
  expect(made.map(formatObjectName).filter((each) => each.startsWith("DaemonSet"))).toEqual([name]);
});

it("images to pull ahead need the tools image, and valid names", async () => {
  await expect(readWanted({ PREPULL_IMAGES: "torch:2" }, undefined)).rejects.toThrow(
    "PREPULL_IMAGES needs TOOLS_IMAGE",
  );
  await expect(readWanted({ ...prepull, PREPULL_IMAGES: "torch:2,Torch" }, undefined)).rejects.toThrow(
    "PREPULL_IMAGES must be the name of an image",
  );
});

const two = { ...settings, EKS_CLUSTER: "gpus" };
/** Lists the pod security level of environments, and the objects about capabilities. */
const findCapabilities = async (
  environment: Readonly<Record<string, string>>,
  stages: readonly string[] = [],
  stage = "dev",
) => {
  const { shared, owned } = await readWanted(environment, stage ? readStage(stage, environment) : undefined, stages);
  const namespace = shared.find((each) => formatObjectName(each) === "Namespace berth-environments");
  const names = [...shared, ...(owned?.manifests ?? [])].map(formatObjectName);
  const labels = namespace?.metadata.labels as Readonly<Record<string, string>>;
  const about = names.filter((name) => /berth-pods$|capabilities$/.test(name));
  return [labels["pod-security.kubernetes.io/enforce"], ...about];
};
const policy = ["ValidatingAdmissionPolicy berth-pods", "ValidatingAdmissionPolicyBinding berth-pods"];
const mark = "ConfigMap berth-system/berth-dev-pod-capabilities";

it("a stage keeps the capabilities that another stage on the cluster needs, and those of its own setting alone", async () => {
  expect(await findCapabilities({ ...two, POD_CAPABILITIES: "SYS_PTRACE" })).toEqual(["privileged", ...policy, mark]);
  expect(await findCapabilities(two, ["berth-other"])).toEqual(["privileged", ...policy]);
  expect(await findCapabilities(two, ["berth-dev"])).toEqual(["baseline"]);
});

it("an apply without a stage marks its capabilities, so that stages on the cluster keep them", async () => {
  const capable = { POD_CAPABILITIES: "SYS_PTRACE" };

  expect(await findCapabilities(capable, [], "")).toEqual([
    "privileged",
    ...policy,
    "ConfigMap berth-system/no-stage-pod-capabilities",
  ]);
  expect(await findCapabilities(two, ["no-stage"])).toEqual(["privileged", ...policy]);
  expect(await findCapabilities({}, ["no-stage"], "")).toEqual(["baseline"]);
});

const badGateway = {
  ...own,
  EKS_NODE_GROUPS: JSON.stringify([group]),
  ACCESS: "gateway",
  SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}`,
};

it("bad settings of the gateway leave the other objects of the stage", async () => {
  const error = await readOwned(badGateway).catch((thrown: unknown) => thrown);

  if (!(error instanceof GatewaySettingsError)) throw error;
  expect(error.message).toContain("\n  GATEWAY_IMAGE must be the image");
  expect(error.others.owned?.deployment).toBe("berth-dev");
  expect(error.others.owned?.manifests.map(formatObjectName)).toContain("Deployment kube-system/cluster-autoscaler");
});

it("a setting that the stage's own cluster lacks is not one of the gateway", async () => {
  const error = await readOwned({ ...badGateway, AWS_REGION: "" }).catch((thrown: unknown) => thrown);

  expect(error).not.toBeInstanceOf(GatewaySettingsError);
  expect(error).toMatchObject({ message: "The objects of stage dev's own cluster need AWS_REGION" });
});

it.each([
  [{}, "internet-facing"],
  [{ GATEWAY_ACCESS: "private" }, "internal"],
])("the gateway of a stage with %j has a load balancer with the scheme %s", async (access, scheme) => {
  const gateway = {
    ACCESS: "gateway",
    SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}`,
    GATEWAY_IMAGE: "berth.test/berth-gateway:1",
    GATEWAY_CERTIFICATE_ARN: "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b",
  };
  const made = await readOwned({ ...settings, EKS_CLUSTER: "gpus", ...gateway, ...access });

  expect(made.find(({ kind }) => kind === "Service")?.metadata.annotations).toMatchObject({
    "service.beta.kubernetes.io/aws-load-balancer-scheme": scheme,
  });
});
