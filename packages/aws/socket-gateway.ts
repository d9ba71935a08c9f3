import { ChangeMessageVisibilityCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { type AwsService, callService } from "./service-call.ts";
import { AwsServiceError } from "./service-error.ts";
import { readConfig } from "./settings/config.ts";
import { sqsClient } from "./sqs/queue.ts";
import { environmentCredentials } from "./sts/environment-credentials.ts";

/** The connections that a WebSocket API of API Gateway keeps. */
export interface Connections {
  /** Sends a text frame of at most 128 KB; false: the connection is gone, is not there yet, or is not read. */
  post(connection: string, text: string): Promise<boolean>;
  /** Ends a connection; nothing happens where it is gone. */
  close(connection: string): Promise<void>;
}

export interface SocketGateway extends Connections {
  /** Puts a first message into the connection's group, before all of its frames. */
  announce(connection: string): Promise<void>;
  /** Has a message that was received, told by its receipt, come again in a few seconds. */
  showSoon(receipt: string): Promise<void>;
}

/** The WebSocket API and the queue of this deployment, as its environment names them. */
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

/**
 * By the Management API of API Gateway, below the URL of a stage ("Use @connections commands in your backend service").
 */
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
/** Gone, or its client does not read: then what API Gateway would keep for it is too large or too much. */
const NOT_READ: ReadonlySet<number> = new Set([410, 413, 429]);
