import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { openTableDirectory, type TableDirectoryFixture } from "#gateway/directory/table-directory-fixture.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { ensureTable, startDynamoDb } from "../aws/dynamodb.ts";
import { patient } from "../aws/patient.ts";
import { type GatewayProcess, startGatewayProcess } from "./gateway-process.ts";

const [tableName, region, local] = ["berth-test", "us-east-1", "local"];

/** Records on DynamoDB, and programs of the gateway that read them. */
export interface GatewayRecords {
  readonly records: TableDirectoryFixture;
  readonly tableEndpoint: string;
  /** Public key of all gateways. */
  readonly hostKey: string;
  startGateway(settings: Readonly<Record<string, string>>): Promise<GatewayProcess>;
  stop(): Promise<void>;
}

export async function openGatewayRecords(startAt?: number): Promise<GatewayRecords> {
  const emulator = await startDynamoDb();
  const credentials = { accessKeyId: local, secretAccessKey: local, sessionToken: undefined };
  const client = dynamoClient({ endpoint: emulator.endpoint, region, credentials }, patient);
  await ensureTable(client, tableName);
  const records = await openTableDirectory(dynamoTable({ client, tableName }), startAt);
  const folder = await mkdtemp(join(tmpdir(), "berth-gateway-"));
  const [hostKey, file] = [newSshKey(), join(folder, "host-key")];
  await writeFile(file, hostKey.private, { mode: 0o600 });
  const settings = {
    TABLE_NAME: tableName,
    DOMAIN: "preview.test",
    HOST_KEY_FILE: file,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: local,
    AWS_SECRET_ACCESS_KEY: local,
    AWS_ENDPOINT_URL_DYNAMODB: emulator.endpoint,
  };
  const gateways = new Set<GatewayProcess>();
  return {
    records,
    tableEndpoint: emulator.endpoint,
    hostKey: hostKey.public,
    startGateway: async (changes) => {
      const gateway = await startGatewayProcess({ ...settings, ...changes });
      gateways.add(gateway);
      return gateway;
    },
    stop: async () => {
      await Promise.all([...gateways].map((gateway) => gateway.stop()));
      client.destroy();
      await emulator.stop();
      await rm(folder, { recursive: true });
    },
  };
}
