import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureTable } from "#tests/aws/dynamodb.ts";
import { MOTO_ACCOUNT, MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { patient, patientCalls } from "#tests/aws/patient.ts";
import { createQueues, receiveAll } from "#tests/aws/sqs.ts";
import { blobsConformance } from "#tests/conformance/blobs.ts";
import { queueConformance } from "#tests/conformance/queue.ts";
import { sealerConformance } from "#tests/conformance/sealer.ts";
import { tableConformance } from "#tests/conformance/table.ts";
import { dynamoClient, dynamoTable } from "./dynamodb/table.ts";
import { createKms } from "./kms/data-keys.ts";
import { kmsSealer } from "./kms/kms-sealer.ts";
import { s3Blobs } from "./s3/s3-blobs.ts";
import { type AwsService, callService } from "./service-call.ts";
import { sqsClient, sqsQueue } from "./sqs/queue.ts";

const moto = await startMoto();

describe("the adapters on moto", () => {
  if (!moto) {
    it("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const { endpoint, stop } = moto;
  const dynamo = dynamoClient({ endpoint, region: "us-east-1", credentials }, patient);
  const sqs = sqsClient({ endpoint, region: "us-east-1", credentials }, patient);
  const tableName = "berth-test";

  beforeAll(() => ensureTable(dynamo, tableName));

  afterAll(async () => {
    for (const client of [dynamo, sqs]) client.destroy();
    await stop();
  });

  // moto (5.2.5) has no lock: two concurrent conditional puts may both win, and a failed transaction restores the whole
  // table, without concurrent writes. DynamoDB Local tests overlapping writes (java.test.ts).
  describe("the table on DynamoDB", () =>
    tableConformance(async () => dynamoTable({ client: dynamo, tableName }), { isolatesWrites: false }));

  describe("the queue on SQS", () => {
    queueConformance(async () => {
      // Like SQS, it empties a queue at most once a minute, so each test has new ones.
      const urls = await createQueues(sqs, { endpoint, account: MOTO_ACCOUNT, prefix: randomUUID() });
      return {
        queue: sqsQueue({ client: sqs, urls }),
        receive: (queue, options) => receiveAll(sqs, urls[queue], options),
        now: () => Date.now(),
        pass: (ms) => sleep(ms),
      };
    });
  });

  const getPlace = (name: string, path = "") =>
    ({
      name,
      region: "us-east-1",
      url: `${endpoint}${path}`,
      credentials: () => credentials,
      patience: patientCalls,
    }) satisfies AwsService;

  describe("the sealer on KMS", () => {
    let keyId: string;

    beforeAll(async () => {
      keyId = await createKey(getPlace("kms"));
    });

    sealerConformance(async () => kmsSealer(createKms(getPlace("kms"), keyId)));

    // Only moto can disable its keys; kms-sealer.test.ts has a stricter KMS.
    it("reports a missing key", async () => {
      const sealing = kmsSealer(createKms(getPlace("kms"), "alias/nowhere")).seal("secret", "a|1");

      await expect(sealing).rejects.toMatchObject({ name: "NotFoundException" });
    });
  });

  describe("the blobs in S3", () => {
    blobsConformance(
      async () => {
        const place = getPlace("s3", `/berth-${randomUUID()}`);
        await callService(place, { name: "CreateBucket", method: "PUT", path: "/" });
        return s3Blobs(place);
      },
      { hasUrls: true },
    );

    it("stay an error if the bucket is missing", async () => {
      const blobs = s3Blobs(getPlace("s3", "/berth-nowhere"));

      await expect(blobs.get("logs/a")).rejects.toMatchObject({ name: "NoSuchBucket" });
    });
  });
});

async function createKey(place: AwsService): Promise<string> {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.CreateKey" };
  const call = { name: "CreateKey", method: "POST", path: "/", headers, body: "{}" } as const;
  const answer = JSON.parse(Buffer.from(await callService(place, call)).toString());
  return answer.KeyMetadata.KeyId;
}
