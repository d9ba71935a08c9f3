import type { JavaServer } from "./java.ts";

/** DynamoDB as AWS gives it out for tests, in memory; it has transactions. */
export const dynamoDbLocal: JavaServer = {
  group: "com.amazonaws",
  artifact: "DynamoDBLocal",
  version: "2.6.1",
  words: ({ port, jars }) => [
    `-Dsqlite4java.library.path=${jars}`,
    "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
    ...["-inMemory", "-disableTelemetry", "-port", String(port)],
  ],
};

/** SQS in memory, with the limits of SQS. */
export const elasticMq: JavaServer = {
  group: "org.elasticmq",
  artifact: "elasticmq-server_2.13",
  version: "1.7.1",
  words: ({ port }) => [
    ...["-Drest-sqs.bind-hostname=127.0.0.1", `-Drest-sqs.bind-port=${port}`, "-Drest-sqs.sqs-limits=strict"],
    ...["-Drest-stats.enabled=false", "org.elasticmq.server.Main"],
  ],
};

/** Account id of ElasticMQ. */
export const ELASTICMQ_ACCOUNT = "000000000000";
