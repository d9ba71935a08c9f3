import { expect, it, onTestFinished } from "vitest";
import { selfSigned } from "#kubernetes/fixtures/loopback-fixture.ts";
import { fakeKeyVariables, startFakeService } from "#tests/aws/fake-service.ts";
import { encodeCa, makeStageFolder, runIn, startTunnel, writeKubeconfig } from "./stage-fixture.ts";

/** Starts an EKS whose clusters have this certificate authority. Returns the environment of its clients. */
async function startEks(ca: string) {
  const cluster = {
    name: "gpus",
    arn: "arn:aws:eks:eu-west-1:111122223333:cluster/gpus",
    endpoint: "https://private.eks.test",
    certificateAuthority: { data: encodeCa(ca) },
  };
  const eks = await startFakeService(
    "eks",
    (code) => ({ status: 403, body: code }),
    ({ path }) =>
      path === "/clusters/gpus" ? { status: 200, body: JSON.stringify({ cluster }) } : { status: 404, body: "{}" },
  );
  onTestFinished(eks.stop);
  return { AWS_ENDPOINT_URL_EKS: eks.endpoint, ...fakeKeyVariables };
}

it.each(["apply", "check"] as const)(
  "cluster:%s refuses a tunnel to a cluster with another authority",
  async (script) => {
    const tunnel = await startTunnel();
    const folder = await makeStageFolder({ ACCESS: "none", EKS_CA: encodeCa(selfSigned().cert) });
    const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);

    const { code, stdout, stderr } = await runIn(folder, script, ["--stage", "dev", ...words]);

    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(
      "context tunnel does not lead to EKS cluster gpus, because its certificate authority is another",
    );
    expect(tunnel.requests).toEqual([]);
  },
);

it("a kubeconfig that names no certificate authority is refused", async () => {
  const tunnel = await startTunnel();
  const folder = await makeStageFolder({ ACCESS: "none", EKS_CA: encodeCa(tunnel.ca) });
  const words = await writeKubeconfig(folder, tunnel.access.url, "");

  const { code, stderr } = await runIn(folder, "check", ["--stage", "dev", ...words]);

  expect(code).toBe(1);
  expect(stderr).toContain("because its certificate authority is not named. Write the file as in docs/deploy.md#");
});

it("an EKS_CA without a certificate is named, and not the kubeconfig", async () => {
  const tunnel = await startTunnel();
  const folder = await makeStageFolder({ ACCESS: "none", EKS_CA: encodeCa("no certificate") });
  const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);

  const { code, stderr } = await runIn(folder, "check", ["--stage", "dev", ...words]);

  expect([code, stderr]).toEqual([
    1,
    "EKS_CA holds no certificate. It must be certificateAuthority.data of aws eks describe-cluster\n",
  ]);
  expect(tunnel.requests).toEqual([]);
});

it("a tunnel with the stage's authority leads to its cluster, although the server is another", async () => {
  const tunnel = await startTunnel();
  const folder = await makeStageFolder({ ACCESS: "none", EKS_CA: encodeCa(tunnel.ca) });
  const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);

  const { code, stdout } = await runIn(folder, "check", ["--stage", "dev", ...words]);

  expect(stdout).toContain(`The cluster itself (context tunnel, ${tunnel.access.url}):\n`);
  expect(stdout).toContain("Not checked: objects of deploy/kubernetes: no rights");
  expect(code).toBe(0);
  expect(tunnel.requests.length).toBeGreaterThan(0);
});

it("a stage without EKS_CA asks EKS for the authority", async () => {
  const [tunnel, other] = await Promise.all([startTunnel(), startTunnel()]);
  const folder = await makeStageFolder({ ACCESS: "none" });
  const environment = await startEks(tunnel.ca);
  const run = async ({ access, ca }: typeof tunnel) =>
    runIn(folder, "apply", ["--stage", "dev", ...(await writeKubeconfig(folder, access.url, ca))], environment);

  const own = await run(tunnel);
  const wrong = await run(other);

  expect([own.code, wrong.code]).toEqual([1, 1]);
  expect(own.stderr).toContain(`deploy/kubernetes on context tunnel, ${tunnel.access.url}:\n`);
  expect(wrong.stderr).toContain("does not lead to EKS cluster gpus");
  expect(other.requests).toEqual([]);
});

it("without EKS_CA and credentials, no tunnel is taken for the stage's cluster", async () => {
  const tunnel = await startTunnel();
  const folder = await makeStageFolder({ ACCESS: "none" });
  const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);

  const { code, stderr } = await runIn(folder, "apply", ["--stage", "dev", ...words]);

  expect([code, stderr]).toEqual([
    1,
    "The certificate authority of EKS cluster gpus is not known: there are no AWS credentials\n",
  ]);
  expect(tunnel.requests).toEqual([]);
});
