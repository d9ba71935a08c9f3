import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { type Answering, answerJson, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";
import { readManifests } from "#kubernetes/setup/manifests.ts";
import { encodeCa, makeStageFolder, runIn, startTunnel, writeKubeconfig } from "./stage-fixture.ts";

const folder = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
const kinds = [
  ...(await readManifests(folder)),
  ...(await readManifests(`${folder}/gateway`)),
  ...(await readManifests(`${folder}/capabilities`)),
].map(({ kind, metadata: { namespace } }) => ({
  kind,
  name: `${kind.toLowerCase()}s`,
  namespaced: namespace !== undefined,
}));
const scheme = "service.beta.kubernetes.io/aws-load-balancer-scheme";
const makeService = (annotations: Readonly<Record<string, string>> | undefined) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "berth-gateway", namespace: "berth-system", ...(annotations && { annotations }) },
});

const markOf = (deployment: string) => ({ metadata: { labels: { "berth/deployment": deployment } } });

/** Answers as a cluster that has the gateway's Service and no other object of Berth. */
const clusterWith = (
  annotations: Readonly<Record<string, string>> | undefined,
  minor = "35+",
  stages: readonly string[] = [],
): Answering => {
  return ({ method, url = "" }, response) => {
    if (url === "/version") return answerJson(response, { major: "1", minor });
    if (/^\/(api|apis\/[^/]+)\/[^/]+$/.test(url)) return answerJson(response, { resources: kinds });
    if (url.includes("/configmaps?")) return answerJson(response, { metadata: {}, items: stages.map(markOf) });
    if (!url.includes("/services/berth-gateway")) return refuse(response, 404, "NotFound");
    return answerJson(response, makeService(method === "PATCH" ? { [scheme]: "internet-facing" } : annotations));
  };
};

async function apply(
  annotations: Readonly<Record<string, string>> | undefined,
  settings = {},
  minor?: string,
  stages?: readonly string[],
) {
  const tunnel = await startTunnel(clusterWith(annotations, minor, stages));
  const folder = await makeStageFolder({
    SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}`,
    GATEWAY_IMAGE: "berth.test/berth-gateway:1",
    GATEWAY_CERTIFICATE_ARN: "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b",
    EKS_CA: encodeCa(tunnel.ca),
    ...settings,
  });
  const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);
  const answer = await runIn(folder, "apply", ["--stage", "dev", "--diff", ...words]);
  return { ...answer, patched: tunnel.requests.filter(({ method }) => method === "PATCH").map(({ url }) => url) };
}

const refusal =
  "The load balancer of Service berth-system/berth-gateway is internal now, and the internet would reach it. Set " +
  "GATEWAY_ACCESS=public to open it, or GATEWAY_ACCESS=private to keep it internal. Nothing was applied\n";

it.each([
  ["with the annotation", { [scheme]: "internal" }],
  ["by the controller's default", {}],
  ["without any annotation", undefined],
])("a load balancer that is internal %s is not opened before GATEWAY_ACCESS says so", async (_, annotations) => {
  const unset = await apply(annotations);

  expect(unset).toMatchObject({ code: 1, stderr: expect.stringContaining(refusal) });
  expect(unset.stdout).toContain('internet-facing"');
  expect(unset.patched.filter((url) => !url.includes("dryRun=All"))).toEqual([]);
});

it("GATEWAY_ACCESS=public opens an internal load balancer", async () => {
  const { stdout, stderr } = await apply({ [scheme]: "internal" }, { GATEWAY_ACCESS: "public" });

  expect(stderr).not.toContain("GATEWAY_ACCESS");
  expect(stdout).toContain('"internal" → "internet-facing"\n');
});

it("a load balancer that the internet reaches needs no GATEWAY_ACCESS", async () => {
  const { stdout, stderr } = await apply({ [scheme]: "internet-facing" });

  expect(stderr).not.toContain("GATEWAY_ACCESS");
  expect(stdout).toContain("= 1 object is as wanted");
});

it("a version of Kubernetes that Berth does not support is said before the changes", async () => {
  const { stderr } = await apply({ [scheme]: "internet-facing" }, {}, "29+");

  expect(stderr).toContain(
    ":\nversion of Kubernetes: the cluster has 1.29, and Berth needs 1.30 or newer. Upgrade it, one minor version at a " +
      "time: docs/deploy.md#other-clusters\n",
  );
});

it("capabilities that another stage needs stay, and the command says for which one", async () => {
  const { stdout, stderr } = await apply({ [scheme]: "internet-facing" }, {}, undefined, ["berth-dev", "berth-other"]);

  expect(stderr).toContain("\ndeploy/kubernetes/capabilities stays for berth-other\n");
  expect(stdout).toContain("+ ValidatingAdmissionPolicy berth-pods\n");
});
