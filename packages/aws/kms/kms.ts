import { type AwsService, callService } from "../service-call.ts";

/** Calls of KMS that sealing needs. Keys travel as bytes and are never logged. */
export interface Kms {
  /** Returns a new key of 256 bits, plain and encrypted under the deployment's KMS key. */
  newDataKey(): Promise<{ readonly plain: Buffer; readonly encrypted: Buffer }>;
  /** Decrypts a key. KMS finds the key and its rotation by itself. */
  openDataKey(encrypted: Uint8Array): Promise<Buffer>;
}

/** Returns KMS with this key: an id, an ARN or an alias (`alias/berth`). */
export function createKms(service: AwsService, keyId: string): Kms {
  return {
    async newDataKey() {
      const input = { KeyId: keyId, KeySpec: "AES_256", EncryptionContext: context };
      const { Plaintext, CiphertextBlob } = await call(service, "GenerateDataKey", input);
      return { plain: getBytes(Plaintext), encrypted: getBytes(CiphertextBlob) };
    },
    async openDataKey(encrypted) {
      const input = { CiphertextBlob: Buffer.from(encrypted).toString("base64"), EncryptionContext: context };
      return getBytes((await call(service, "Decrypt", input)).Plaintext);
    },
  };
}

/** Shown in CloudTrail; the key's policy may require it (`kms:EncryptionContext:berth`). */
const context = { berth: "data-key" };

async function call(service: AwsService, name: string, input: object): Promise<Record<string, unknown>> {
  const answer = await callService(service, {
    name,
    method: "POST",
    path: "/",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${name}` },
    body: JSON.stringify(input),
  });
  return JSON.parse(Buffer.from(answer).toString("utf8")) as Record<string, unknown>;
}

function getBytes(field: unknown): Buffer {
  if (typeof field !== "string" || field === "") throw new Error("KMS answered without a key");
  return Buffer.from(field, "base64");
}
