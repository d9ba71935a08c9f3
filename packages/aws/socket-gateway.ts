import { ChangeMessageVisibilityCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { type AwsService, AwsServiceError, callService, environmentCredentials } from "./service-call.ts";
import { readConfig } from "./settings/config.ts";
import { sqsClient } from "./sqs/queue.ts";

export interface Connections {
  /** Sends a text frame of at most 128 KB. Returns false if the connection is gone, not open yet, or not read. */
  post(connection: string, text: string): Promise<boolean>;
  /** Ends a connection. Does nothing if it is gone. */
  close(connection: string): Promise<void>;
}

export interface SocketGateway extends Connections {
  /** Sends the first message of the connection's group, before all its frames. */
  announce(connection: string): Promise<void>;
  /** Makes a received message visible again in a few seconds. */
  showSoon(receipt: string): Promise<void>;
}

export const socketGateway = (): SocketGateway => {
  const {
    SOCKET_API_URL: url,
    SHELL_QUEUE_URL,
    AWS_REGION,
  } = readConfig(["SOCKET_API_URL", "SHELL_QUEUE_URL", "AWS_REGION"]);
  const client = sqsClient();
  return {
    ...createConnections({ name: "execute-api", region: AWS_REGION, url, credentials: environmentCredentials }),
    async announce(connection) {
      const fields = { MessageGroupId: connection, MessageDeduplicationId: connection };
      await client.send(new SendMessageCommand({ QueueUrl: SHELL_QUEUE_URL, MessageBody: "connected", ...fields }));
    },
    async showSoon(ReceiptHandle) {
      const fields = { QueueUrl: SHELL_QUEUE_URL, VisibilityTimeout: SOON_SECONDS };
      await client.send(new ChangeMessageVisibilityCommand({ ...fields, ReceiptHandle }));
    },
  };
};

/** Calls the Management API of API Gateway ("Use @connections commands in your backend service"). */
export function createConnections(service: AwsService): Connections {
  const call = async (name: string, method: "POST" | "DELETE", connection: string, body?: string): Promise<boolean> => {
    try {
      const path = `/@connections/${encodeURIComponent(connection)}`;
      await callService(service, { name, method, path, ...(body !== undefined && { body }) });
      return true;
    } catch (error) {
      if (error instanceof AwsServiceError && NOT_READ.has(error.status)) return false;
      throw error;
    }
  };
  return {
    post: (connection, text) => call("PostToConnection", "POST", connection, text),
    close: async (connection) => void (await call("DeleteConnection", "DELETE", connection)),
  };
}

const SOON_SECONDS = 5;
/** Statuses of a connection that is gone or whose client does not read. */
const NOT_READ: ReadonlySet<number> = new Set([410, 413, 429]);
