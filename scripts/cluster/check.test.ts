import { expect, it } from "vitest";
import { encodeCa, makeStageFolder, runIn, startTunnel, writeKubeconfig } from "./stage-fixture.ts";

const hostKey = `ssh-ed25519 ${"A".repeat(68)}`;

it.each([
  [{}, "GATEWAY_IMAGE must be the image that npm run images builds: it is not set"],
  [
    {
      GATEWAY_IMAGE: "berth.test/berth-gateway:1",
      GATEWAY_CERTIFICATE_ARN: "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b",
      HOST_KEY_FILE: "no-such-file",
    },
    "HOST_KEY_FILE must name a file with private ed25519 keys of OpenSSH, without a passphrase: no-such-file",
  ],
])("a bad setting of the gateway is a finding, and the cluster is checked beside it: %j", async (settings, problem) => {
  const tunnel = await startTunnel();
  const folder = await makeStageFolder({ SSH_HOST_KEYS: hostKey, EKS_CA: encodeCa(tunnel.ca), ...settings });
  const words = await writeKubeconfig(folder, tunnel.access.url, tunnel.ca);

  const { code, stdout, stderr } = await runIn(folder, "check", ["--stage", "dev", ...words]);

  expect([code, stderr]).toEqual([1, ""]);
  expect(stdout).toContain(`\n  MISSING: settings of the gateway: ${problem}`);
  expect(stdout).toContain("\n    Correct it in .env.dev: docs/deploy.md#let-users-in\n");
  expect(stdout).toContain(
    "\n  Not checked: objects of the stage's own: they depend on the settings of the gateway.\n",
  );
  expect(stdout).toContain("\n  Not checked: GPUs of nodes: no rights.\n");
});
