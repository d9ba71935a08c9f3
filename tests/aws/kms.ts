import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Arrived } from "./check-signature.ts";
import { type FakeAnswer, type FakeService, startFakeService } from "./fake-service.ts";

export interface FakeKms extends FakeService {
  /** Answers to these calls, in order. */
  names(): string[];
  /** Changes the key material for new data keys. Existing data keys can still be decrypted. */
  rotate(): void;
  disable(): void;
  enable(): void;
}

/** Key and encryption context are checked, and a disabled key refuses both calls, as KMS does. */
export async function startKms(keyId: string): Promise<FakeKms> {
  const materials = [randomBytes(32)];
  let isEnabled = true;
  const refuse = (code: string): FakeAnswer => ({ status: 400, body: JSON.stringify({ __type: code, message: code }) });

  const service = await startFakeService("kms", refuse, (request) => {
    const input = JSON.parse(Buffer.from(request.body).toString()) as Input;
    if (request.headers["content-type"] !== "application/x-amz-json-1.1") return refuse("SerializationException");
    if (!isEnabled) return refuse("DisabledException");
    const context = JSON.stringify(input.EncryptionContext ?? {});
    if (formatName(request) === "GenerateDataKey") {
      if (input.KeyId !== keyId || input.KeySpec !== "AES_256") return refuse("NotFoundException");
      const plain = randomBytes(32);
      const CiphertextBlob = wrap(plain, context, materials).toString("base64");
      return {
        status: 200,
        body: JSON.stringify({ KeyId: keyId, Plaintext: plain.toString("base64"), CiphertextBlob }),
      };
    }
    const plain = unwrap(Buffer.from(input.CiphertextBlob ?? "", "base64"), context, materials);
    if (!plain) return refuse("InvalidCiphertextException");
    return { status: 200, body: JSON.stringify({ KeyId: keyId, Plaintext: plain.toString("base64") }) };
  });

  return {
    ...service,
    names: () => service.calls.map(formatName),
    rotate: () => void materials.push(randomBytes(32)),
    disable() {
      isEnabled = false;
    },
    enable() {
      isEnabled = true;
    },
  };
}

interface Input {
  readonly KeyId?: string;
  readonly KeySpec?: string;
  readonly CiphertextBlob?: string;
  readonly EncryptionContext?: object;
}

function formatName({ headers }: Arrived): string {
  return (headers["x-amz-target"] ?? "").replace("TrentService.", "");
}

function wrap(plain: Buffer, context: string, materials: readonly Buffer[]): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", materials.at(-1) ?? "", nonce).setAAD(Buffer.from(context));
  return Buffer.concat([
    Buffer.of(materials.length - 1),
    nonce,
    cipher.update(plain),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

function unwrap(blob: Buffer, context: string, materials: readonly Buffer[]): Buffer | undefined {
  const material = materials[blob[0] ?? 255];
  if (!material || blob.length !== 61) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", material, blob.subarray(1, 13));
  decipher.setAAD(Buffer.from(context)).setAuthTag(blob.subarray(45));
  try {
    return Buffer.concat([decipher.update(blob.subarray(13, 45)), decipher.final()]);
  } catch {
    return undefined;
  }
}
