import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isOutage } from "#http/answers/outage.ts";
import { fakeKey } from "#tests/aws/fake-service.ts";
import { patientCalls } from "#tests/aws/patient.ts";
import { type FakeS3, refusal, startS3 } from "#tests/aws/s3.ts";
import { blobsConformance } from "#tests/conformance/blobs.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { presignCall } from "../service-call.ts";
import { s3Blobs } from "./s3-blobs.ts";

const zip = { contentType: "application/zip", fileName: "workspace-abc12345-20260120-180000.zip" };
const renewed = { ...fakeKey, sessionToken: "renewed" };

let s3: FakeS3;
let credentials = fakeKey;
let log: ReturnType<typeof recordingLog>;

beforeAll(async () => {
  s3 = await startS3("berth-blobs");
});

beforeEach(() => {
  s3.calls.length = 0;
  s3.objects.clear();
  s3.knowKeys([fakeKey]);
  s3.trouble([]);
  credentials = fakeKey;
  log = recordingLog();
});

afterAll(() => s3.stop());

function blobsIn(bucket: string) {
  const place = { name: "s3", region: "us-east-2", url: `${s3.endpoint}/${bucket}`, credentials: () => credentials };
  return s3Blobs({ ...place, log, patience: patientCalls });
}

const failure = (work: Promise<unknown>) => work.catch((reason: unknown) => reason as Error);

describe("blobs in S3", () => {
  blobsConformance(async () => blobsIn("berth-blobs"), { hasUrls: true });

  it("are gone only if S3 says that the object does not exist", async () => {
    const denied = refusal("AccessDenied");
    s3.trouble([denied, denied, denied]);
    const blobs = blobsIn("berth-blobs");

    const errors = await Promise.all(
      [blobs.get("logs/a"), blobs.put("logs/a", Uint8Array.of(1)), blobs.remove("logs/a")].map(failure),
    );
    const noBucket = await failure(blobsIn("another").get("logs/a"));

    expect(errors.map((error) => [(error as Error).name, isOutage(error)])).toEqual(
      Array(3).fill(["AccessDenied", false]),
    );
    expect(noBucket).toMatchObject({ message: "S3 GetObject: NoSuchBucket: Why: NoSuchBucket" });
    await expect(blobsIn("another").getSize("logs/a")).rejects.toThrow("NoSuchBucket");
    expect(s3.calls).toHaveLength(5);
  });

  it("are written with credentials renewed in between, and are an outage with expired ones", async () => {
    const blobs = blobsIn("berth-blobs");
    s3.trouble([refusal("ExpiredToken")]);
    s3.knowKeys([renewed]);
    credentials = renewed;
    await blobs.put("logs/a", Uint8Array.of(1));
    expect([...(s3.objects.get("logs/a") ?? [])]).toEqual([1]);

    s3.trouble(Array(3).fill(refusal("ExpiredToken")));
    const error = await failure(blobs.get("logs/a"));

    expect([(error as Error).name, isOutage(error)]).toEqual(["ExpiredToken", true]);
  });

  it("wait while S3 is busy, and say so", async () => {
    s3.trouble([refusal("SlowDown")]);

    await blobsIn("berth-blobs").put("logs/a", Uint8Array.of(1));

    expect(log.lines).toMatchObject([{ level: "warn", fields: { why: "S3 PutObject: SlowDown: Why: SlowDown" } }]);
  });

  it("delete only blobs under a name", async () => {
    for (const key of ["logs/a/1", "logs/a/2", "logs/a/3", "logs/a/4", "logs/a/x.TXT"])
      s3.objects.set(key, new Uint8Array());

    await blobsIn("berth-blobs").removeUnder("logs/a");

    expect([...s3.objects.keys()]).toEqual(["logs/a/x.TXT"]);
  });

  it("are saved by a browser under their name, with their type", async () => {
    const blobs = blobsIn("berth-blobs");
    await blobs.put("archives/a", Uint8Array.of(1));

    const { headers } = await fetch((await blobs.urlToGet("archives/a", zip)) ?? "");

    expect(headers.get("content-type")).toBe("application/zip");
    expect(headers.get("content-disposition")).toBe(`attachment; filename="${zip.fileName}"`);
  });

  it("refuse a type or name that would end its header", async () => {
    const blobs = blobsIn("berth-blobs");
    const bad = [
      { ...zip, fileName: 'a"; filename="b.html' },
      { ...zip, fileName: "a\r\nX: y" },
      { ...zip, contentType: "text/html\r\nX: y" },
    ];

    for (const kind of bad) await expect(blobs.urlToGet("archives/a", kind)).rejects.toThrow("The content type");
  });

  it("have URLs for one blob, one method and one type", async () => {
    const blobs = blobsIn("berth-blobs");
    await blobs.put("archives/a", Uint8Array.of(1));
    const url = (await blobs.urlToGet("archives/a", zip)) ?? "";
    const upload = await blobs.urlToPut("archives/b");
    const { url: to = "", headers = {} } = upload ?? {};

    const answers = await Promise.all([
      fetch(url.replace("archives/a", "archives/b")),
      fetch(url, { method: "DELETE" }),
      fetch(url.replace("application%2Fzip", "text%2Fhtml")),
      fetch(to, { method: "PUT", headers: { "content-type": "text/html" }, body: new Uint8Array(3) }),
      fetch(to.replace("archives/b", "archives/a"), { method: "PUT", headers, body: new Uint8Array(3) }),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
    expect([...s3.objects.keys()]).toEqual(["archives/a"]);
  });

  it("have the URL of AWS's own example", async () => {
    // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    const example = {
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    };
    const credentials = () => ({ ...example, sessionToken: undefined });
    const place = { name: "s3", region: "us-east-1", url: "https://examplebucket.s3.amazonaws.com", credentials };
    const signingDate = new Date("2013-05-24T00:00:00Z");

    const url = await presignCall(
      place,
      { name: "GetObject", method: "GET", path: "/test.txt" },
      { seconds: 86_400, signingDate },
    );

    expect(new URL(url).searchParams.get("X-Amz-Signature")).toBe(
      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    );
  });
});
