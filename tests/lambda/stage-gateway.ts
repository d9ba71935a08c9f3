import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { fakeKey } from "../aws/fake-service.ts";
import { startGatewayProcess } from "../cluster/gateway-process.ts";
import { REGION } from "../synthesis/cloud.ts";
import type { DeployedStage } from "./deployed-stage.ts";
import { variablesIn } from "./runtime/services.ts";

/** A gateway of a stage, and a user outside with OpenSSH's client. */
export interface StageGateway {
  /** Public key of the user. */
  readonly userKey: string;
  /**
   * Returns the words of a shown `ssh_command` for a user whose DNS has the gateway's name, and who knows this host key
   * and no other.
   */
  sshWords(command: string, hostKey: string): Promise<string[]>;
  ssh(words: readonly string[]): Promise<{ readonly code: unknown; readonly out: string; readonly err: string }>;
  stop(): Promise<void>;
}

interface GatewayFiles {
  /** Private key. */
  readonly hostKey: string;
  readonly kubeconfig: string;
}

/** Starts the program of the gateway over the table and the cluster of a stage. */
export async function openStageGateway(
  { resources, services }: DeployedStage,
  { hostKey, kubeconfig }: GatewayFiles,
): Promise<StageGateway> {
  const folder = await mkdtemp(join(tmpdir(), "berth-stage-gateway-"));
  const [hostKeyFile, identity] = [join(folder, "host-key"), join(folder, "user-key")];
  const [known, config] = [join(folder, "known-hosts"), join(folder, "config")];
  const user = newSshKey();
  await writeFile(hostKeyFile, hostKey, { mode: 0o600 });
  await writeFile(identity, user.private, { mode: 0o600 });
  const { TABLE_NAME = "", DOMAIN = "", SSH_GATEWAY = "" } = variablesIn(resources);
  const gateway = await startGatewayProcess({
    TABLE_NAME,
    DOMAIN,
    HOST_KEY_FILE: hostKeyFile,
    KUBECONFIG: kubeconfig,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: fakeKey.accessKeyId,
    AWS_SECRET_ACCESS_KEY: fakeKey.secretAccessKey,
    AWS_ENDPOINT_URL_DYNAMODB: services.variables.endpoints.AWS_ENDPOINT_URL_DYNAMODB ?? "",
  });
  const lines = [
    ...[`Host ${SSH_GATEWAY}`, "HostName 127.0.0.1", `Port ${gateway.sshPort}`, `HostKeyAlias ${SSH_GATEWAY}`],
    ...["Host *", `IdentityFile ${identity}`, "IdentitiesOnly yes", "BatchMode yes", "LogLevel ERROR"],
    ...[`UserKnownHostsFile ${known}`, "GlobalKnownHostsFile none", "StrictHostKeyChecking yes"],
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  return {
    userKey: user.public,
    async sshWords(command, publicHostKey) {
      const [program, ...words] = command.split(" ");
      if (program !== "ssh") throw new Error(`Not a command of ssh: ${command}`);
      await writeFile(known, `${SSH_GATEWAY} ${publicHostKey}\n`);
      return ["-F", config, ...words];
    },
    ssh: (words) =>
      new Promise((resolve) => {
        execFile("ssh", words, { timeout: PATIENCE_MS }, (error, out, err) => {
          resolve({ code: error?.code ?? 0, out, err });
        });
      }),
    async stop() {
      await gateway.stop();
      await rm(folder, { recursive: true });
    },
  };
}
