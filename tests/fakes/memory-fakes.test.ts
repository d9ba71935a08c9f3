import { describe, expect, it } from "vitest";
import { blobsConformance } from "../conformance/blobs.ts";
import { identityConformance } from "../conformance/identity.ts";
import { sealerConformance } from "../conformance/sealer.ts";
import { manualClock } from "../fixtures/clock.ts";
import { seededIds } from "../fixtures/ids.ts";
import { memoryBlobs } from "./memory-blobs.ts";
import { memoryIdentity, signedBy } from "./memory-identity.ts";
import { memorySealer } from "./memory-sealer.ts";

const caller = {
  accessKeyId: "ASIAKNOWNKNOWNKNOWN0",
  secretAccessKey: "k".repeat(40),
  sessionToken: "t".repeat(120),
  account: "000000000000",
  arn: "arn:aws:sts::000000000000:assumed-role/SSOCloudDevGpuReservation/developer",
};
const request = { url: "https://sts.amazonaws.com/", amzDate: "20260120T180000Z", serverId: "berth-local" };

describe("the memory sealer", () => {
  sealerConformance(async () => memorySealer());
});

describe("the memory blobs", () => {
  blobsConformance(async () => memoryBlobs());
});

describe("the memory identity", () => {
  identityConformance(async () => ({
    identity: memoryIdentity({ callers: [caller] }),
    known: caller,
    sign: async (credentials) => signedBy(credentials, request),
  }));

  it("refuses a session that has ended", async () => {
    const identity = memoryIdentity({ callers: [{ ...caller, expiresAt: 10 }], now: () => 10 });

    await expect(identity.callerOfCredentials(caller)).rejects.toThrow("ExpiredToken");
  });

  it("can be unavailable", async () => {
    const identity = memoryIdentity({ callers: [caller], isDown: () => true });

    await expect(identity.callerOfCredentials(caller)).rejects.toThrow("cannot be reached");
  });
});

describe("seeded ids", () => {
  it("are the same for a seed, in the format of real ones", () => {
    const make = (seed: number) => {
      const ids = seededIds(seed, manualClock());
      return [ids.uid(), ids.uuid7(), ids.secret(64)] as const;
    };

    const [uid, uuid, secret] = make(3);

    expect(make(3)).toEqual([uid, uuid, secret]);
    expect(make(4)).not.toContain(uid);
    expect(uid).toMatch(/^[0-9a-f]{32}$/);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(secret).toMatch(/^[A-Za-z0-9_-]{86}$/);
  });

  it("create UUIDs that sort by their time", () => {
    const clock = manualClock();
    const ids = seededIds(1, clock);

    const uuids = Array.from({ length: 20 }, (_, n) => {
      if (n % 3 === 0) clock.advance(1);
      return ids.uuid7();
    });

    expect(uuids).toEqual(uuids.toSorted());
  });
});
