import { expect, it } from "vitest";
import { encodeCa, makeStageFolder, runIn, startTunnel, writeKubeconfig } from "./stage-fixture.ts";

const hostKey = `ssh-ed25519 ${"A".repeat(68)}`;

/** Checks a cluster of which the credentials may read nothing. */
async function check(settings: Readonly<Record<string, string>>) {
  const tunnel = await startTunnel();
  const folder = await makeStageFolder({ SSH_HOST_KEYS: hostKey, EKS_CA: encodeCa(tunnel.ca), ...settings });
  const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);
  return runIn(folder, "check", ["--stage", "dev", ...words]);
}

it.each([
  [
    { GATEWAY_IMAGE: "berth.test/berth-gateway:1" },
    "GATEWAY_CERTIFICATE_ARN must be the ARN of a certificate for *.<DOMAIN> in eu-west-1",
  ],
  [
    {
      GATEWAY_IMAGE: "berth.test/berth-gateway:1",
      GATEWAY_CERTIFICATE_ARN: "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b",
      HOST_KEY_FILE: "no-such-file",
    },
    "HOST_KEY_FILE must name a file with private ed25519 keys of OpenSSH, without a passphrase: no-such-file",
  ],
])("a bad setting of the gateway is a finding, and the cluster is checked beside it: %j", async (settings, problem) => {
  const { code, stdout, stderr } = await check(settings);

  expect([code, stderr]).toEqual([1, ""]);
  expect(stdout).toContain(`\n  MISSING: settings of the gateway: ${problem}`);
  expect(stdout).toContain("\n    Correct it in .env.dev: docs/deploy.md#let-users-in\n");
  expect(stdout).toContain("\n  Not checked: objects of the gateway: they depend on its settings.\n");
  expect(stdout).toContain("\n  Not checked: GPUs of nodes: no rights.\n");
});

it("the settings of a gateway that an overlay applies are not checked", async () => {
  const { code, stdout, stderr } = await check({});

  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).not.toMatch(/MISSING|Nothing is missing/);
  expect(stdout).toContain(
    "\n  Not checked: settings of the gateway: GATEWAY_IMAGE and GATEWAY_CERTIFICATE_ARN are not set, as for a gateway " +
      "of your own Kustomize overlay.\n",
  );
  expect(stdout).toContain("\n  Not checked: gateway: no rights.\n");
});

it("a type that MACHINE_TYPES of the stage adds may be in its other settings", async () => {
  const machines = { MACHINE_TYPES: "g6e.12xlarge=l40s:4:48:384", NODE_GROUPS: "g6e.12xlarge=2:300:us-east-1a" };

  expect(await check(machines)).toMatchObject({ code: 0, stderr: "" });
  expect(await check({ ...machines, MACHINE_TYPES: "g6e.12xlarge=l4:4:48:384" })).toEqual({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/MACHINE_TYPES must be types like .*: l4 is the gpu_type of g6\.12xlarge already\n$/),
  });
});
