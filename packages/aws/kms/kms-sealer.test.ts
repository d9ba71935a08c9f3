import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { asSealed, WrongSeal } from "#core/store/sealed.ts";
import { isOutage } from "#http/answers/outage.ts";
import { fakeKey } from "#tests/aws/fake-service.ts";
import { type FakeKms, startKms } from "#tests/aws/kms.ts";
import { patientCalls } from "#tests/aws/patient.ts";
import { sealerConformance } from "#tests/conformance/sealer.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { createKms, type Kms } from "./data-keys.ts";
import { kmsSealer } from "./kms-sealer.ts";

const minute = 60_000;
const throttled = { status: 400, body: JSON.stringify({ __type: "ThrottlingException", message: "Rate exceeded" }) };

let kms: FakeKms;
let log: ReturnType<typeof recordingLog>;
let now: number;

beforeAll(async () => {
  kms = await startKms("alias/berth");
});

beforeEach(() => {
  kms.calls.length = 0;
  kms.knowKeys([fakeKey]);
  kms.trouble([]);
  kms.enable();
  log = recordingLog();
  now = 0;
});

afterAll(() => kms.stop());

function newSealer(patience = patientCalls) {
  const place = { name: "kms", region: "us-east-2", url: kms.endpoint, credentials: () => fakeKey };
  return kmsSealer(createKms({ ...place, log, patience }, "alias/berth"), () => now);
}

function randomKey() {
  const plain = randomBytes(32);
  return { plain, encrypted: Buffer.from(plain) };
}

describe("the sealer on KMS", () => {
  sealerConformance(async () => newSealer());

  it("opens text that another process sealed, even after a rotation of the key", async () => {
    const sealed = await newSealer().seal("secret", "a|1");
    kms.rotate();
    const otherSealer = newSealer();
    await otherSealer.seal("newer", "a|1");

    expect(await otherSealer.open(sealed, "a|1")).toBe("secret");
  });

  it("retries with the remaining time, however short it is", async () => {
    kms.trouble(["hang up"]);

    const sealed = await newSealer({ tryMs: 60_000, togetherMs: 60_000 }).seal("secret", "a|1");

    expect(kms.names()).toEqual(["GenerateDataKey", "GenerateDataKey"]);
    expect(await newSealer().open(sealed, "a|1")).toBe("secret");
  });

  it("requests one data key in 5 minutes, however much is sealed and opened at once", async () => {
    const sealer = newSealer();

    const sealed = await Promise.all(Array.from({ length: 50 }, (_, n) => sealer.seal(`${n}`, "a|1")));
    await Promise.all(sealed.map((entry) => sealer.open(entry, "a|1")));
    now = 5 * minute - 1;
    await sealer.seal("more", "a|1");

    expect(kms.names()).toEqual(["GenerateDataKey"]);
    now = 5 * minute;
    await sealer.seal("later", "a|1");
    expect(kms.names()).toEqual(["GenerateDataKey", "GenerateDataKey"]);
  });

  it("decrypts the key of many texts once, and again after 5 minutes", async () => {
    const writer = newSealer();
    const sealed = await Promise.all(["1", "2", "3"].map((text) => writer.seal(text, "a|1")));
    const reader = newSealer();

    await Promise.all(sealed.map((entry) => reader.open(entry, "a|1")));
    expect(kms.names()).toEqual(["GenerateDataKey", "Decrypt"]);

    now = 5 * minute;
    await reader.open(sealed[0] ?? asSealed(""), "a|1");
    expect(kms.names()).toEqual(["GenerateDataKey", "Decrypt", "Decrypt"]);
  });

  it("decrypts many keys with 20 calls at a time, each key once", async () => {
    let [input, going, most] = [0, 0, 0];
    const kms: Kms = {
      // Placeholder for encryption, which no test inspects.
      newDataKey: async () => randomKey(),
      async openDataKey(encrypted) {
        input += 1;
        going += 1;
        most = Math.max(most, going);
        await nextTurn();
        going -= 1;
        return Buffer.from(encrypted);
      },
    };
    const writers = Array.from({ length: 500 }, () => kmsSealer(kms));
    const sealed = await Promise.all(writers.map((writer) => writer.seal("secret", "a|1")));
    const reader = kmsSealer(kms);

    const texts = await Promise.all([...sealed, ...sealed].map((entry) => reader.open(entry, "a|1")));

    expect(new Set(texts)).toEqual(new Set(["secret"]));
    expect([input, most]).toEqual([500, 20]);
  });

  it("reports a disabled key, loses no data, and continues once it is enabled", async () => {
    const sealed = await newSealer().seal("secret", "a|1");
    const sealer = newSealer();
    kms.disable();

    const opening = await sealer.open(sealed, "a|1").catch((error: unknown) => error);
    const sealing = await sealer.seal("more", "a|1").catch((error: unknown) => error);

    expect(opening).toMatchObject({
      name: "DisabledException",
      message: "KMS Decrypt: DisabledException: DisabledException",
    });
    expect(sealing).toMatchObject({ name: "DisabledException" });
    expect([opening instanceof WrongSeal, isOutage(opening), isOutage(sealing)]).toEqual([false, false, false]);
    kms.enable();
    expect(await sealer.open(sealed, "a|1")).toBe("secret");
    expect(await sealer.open(await sealer.seal("more", "a|1"), "a|1")).toBe("more");
  });

  it("does not retry when it is denied", async () => {
    const denied = { __type: "com.amazonaws.kms#AccessDeniedException", Message: "User: x is not authorized" };
    kms.trouble([{ status: 400, body: JSON.stringify(denied) }]);

    const error = await newSealer()
      .seal("secret", "a|1")
      .catch((reason: unknown) => reason);

    expect(error).toMatchObject({ message: "KMS GenerateDataKey: AccessDeniedException: User: x is not authorized" });
    expect(kms.calls).toHaveLength(1);
  });

  it("backs off when throttled, logs the reason, and reports an outage if throttling continues", async () => {
    const sealer = newSealer();
    kms.trouble([throttled]);
    const sealed = await sealer.seal("secret", "a|1");
    expect(log.lines).toMatchObject([
      {
        event: "AWS call repeated",
        fields: { why: "KMS GenerateDataKey: ThrottlingException: Rate exceeded", attempt: 1 },
      },
    ]);

    kms.trouble([throttled, throttled, throttled]);
    const error = await newSealer()
      .open(sealed, "a|1")
      .catch((reason: unknown) => reason);

    expect(error).toMatchObject({ name: "ThrottlingException", $retryable: { throttling: true } });
    expect(isOutage(error)).toBe(true);
    expect(await newSealer().open(sealed, "a|1")).toBe("secret");
  });

  it("retries a cut connection, and reports an outage without an answer", async () => {
    kms.trouble(["hang up"]);
    expect(await newSealer().seal("secret", "a|1")).toMatch(/^k1\./);

    kms.trouble(["hang up", "hang up", "hang up"]);
    const error = await newSealer()
      .seal("secret", "a|1")
      .catch((reason: unknown) => reason);

    expect(isOutage(error)).toBe(true);
    expect(error).toMatchObject({ message: "KMS GenerateDataKey: no answer" });
  });

  it("uses renewed credentials, and reports an outage with expired ones", async () => {
    const expired = { status: 400, body: JSON.stringify({ __type: "ExpiredTokenException", message: "expired" }) };
    kms.trouble([expired]);
    expect(await newSealer().seal("secret", "a|1")).toMatch(/^k1\./);

    kms.trouble([expired, expired, expired]);
    const error = await newSealer()
      .seal("secret", "a|1")
      .catch((reason: unknown) => reason);

    expect([isOutage(error), (error as Error).name]).toEqual([true, "ExpiredTokenException"]);
  });

  it("logs no key and no text, whatever fails", async () => {
    kms.trouble([throttled, throttled, throttled]);
    const error = await newSealer()
      .seal("hunter2", "a|1")
      .catch((reason: unknown) => reason);

    expect(JSON.stringify([log.lines, String(error), (error as Error).stack])).not.toMatch(/hunter2|secret/);
  });
});
