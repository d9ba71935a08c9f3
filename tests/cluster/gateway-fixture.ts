import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { openTableDirectory, type TableDirectoryFixture } from "#gateway/directory/table-directory-fixture.ts";
import { newSshKey, type SshKeyPair } from "#gateway/ssh/login/ssh-keys.ts";
import { type ClusterFixture, fixtureRun, openClusterFixture } from "#kubernetes/fixtures/cluster-fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { ensureTable, startDynamoDb } from "../aws/dynamodb.ts";
import { patient } from "../aws/patient.ts";
import { type GatewayProcess, startGatewayProcess } from "./gateway-process.ts";

const [tableName, login] = ["berth-test", "gpu-dev-one"];
const [region, local] = ["us-east-1", "local"];

/** A run on a control plane, its record on DynamoDB, and a user with OpenSSH's client. */
export interface GatewayFixture {
  readonly cluster: ClusterFixture;
  readonly records: TableDirectoryFixture;
  readonly run: string;
  readonly login: string;
  readonly userKey: SshKeyPair;
  /** Begins a further environment that the same key enters. There is room for eight. */
  begin(login: string): Promise<void>;
  startGateway(settings?: Readonly<Record<string, string>>): Promise<GatewayProcess>;
  /** Words of ssh for a gateway, up to the command. */
  sshWords(gateway: GatewayProcess): string[];
  ssh(gateway: GatewayProcess, command: string): Promise<{ readonly code: unknown; out: string; err: string }>;
  stop(): Promise<void>;
}

export async function openGatewayFixture(): Promise<GatewayFixture> {
  const [cluster, emulator] = await Promise.all([
    openClusterFixture(["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }))),
    startDynamoDb(),
  ]);
  const folder = await mkdtemp(join(tmpdir(), "berth-gateway-"));
  const credentials = { accessKeyId: local, secretAccessKey: local, sessionToken: undefined };
  const client = dynamoClient({ endpoint: emulator.endpoint, region, credentials }, patient);
  await ensureTable(client, tableName);
  const records = await openTableDirectory(dynamoTable({ client, tableName }));
  const [hostKey, userKey] = [newSshKey(), newSshKey()];
  const begin = async (name: string, node: string): Promise<string> => {
    const begun = await records.begin({ login: name, keys: [userKey.public] });
    await startRun(cluster, begun, node);
    return begun;
  };
  const run = await begin(login, "one");
  const files = { hostKey: join(folder, "host-key"), userKey: join(folder, "user-key"), hosts: join(folder, "hosts") };
  await writeKeys(files, hostKey, userKey);
  const settings = {
    TABLE_NAME: tableName,
    DOMAIN: "preview.test",
    HOST_KEY_FILE: files.hostKey,
    KUBECONFIG: join(cluster.cluster.controlPlane.home, "berth.kubeconfig"),
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: local,
    AWS_SECRET_ACCESS_KEY: local,
    AWS_ENDPOINT_URL_DYNAMODB: emulator.endpoint,
  };
  const gateways = new Set<GatewayProcess>();
  const sshWords = ({ sshPort }: GatewayProcess) => [
    ...["-F", "/dev/null", "-i", files.userKey, "-p", String(sshPort), "-o", `UserKnownHostsFile=${files.hosts}`],
    ...["-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=gateway", "-o", "BatchMode=yes"],
    ...["-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", `${login}@127.0.0.1`],
  ];
  return {
    cluster,
    records,
    run,
    login,
    userKey,
    sshWords,
    begin: async (name) => void (await begin(name, "two")),
    startGateway: async (changes = {}) => {
      const gateway = await startGatewayProcess({ ...settings, ...changes });
      gateways.add(gateway);
      return gateway;
    },
    ssh: (gateway, command) => runToEnd("ssh", [...sshWords(gateway), command]),
    stop: async () => {
      await Promise.all([...gateways].map((gateway) => gateway.stop()));
      client.destroy();
      await Promise.all([emulator.stop(), cluster.clear().then(() => cluster.stop())]);
      await rm(folder, { recursive: true });
    },
  };
}

/** Starts a run in a pod, under the uid of its record. */
async function startRun({ compute, eventually }: ClusterFixture, run: string, node: string): Promise<void> {
  const uid = run.slice(0, -"-r1".length);
  await compute.apply(fixtureRun({ uid, shares: [{ node, units: 1 }] }));
  await eventually(
    () => compute.observe(uid, 1),
    (seen) => seen?.state === "ready",
  );
}

async function writeKeys(
  files: { readonly hostKey: string; readonly userKey: string; readonly hosts: string },
  hostKey: SshKeyPair,
  userKey: SshKeyPair,
): Promise<void> {
  await Promise.all([
    writeFile(files.hostKey, hostKey.private, { mode: 0o600 }),
    writeFile(files.userKey, userKey.private, { mode: 0o600 }),
    writeFile(files.hosts, `gateway ${hostKey.public}\n`),
  ]);
}

function runToEnd(file: string, words: readonly string[]): ReturnType<GatewayFixture["ssh"]> {
  return new Promise((resolve) => {
    execFile(file, words, { timeout: PATIENCE_MS }, (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
  });
}
