import type { Arrived } from "./check-signature.ts";
import { type FakeAnswer, type FakeService, startFakeService } from "./fake-service.ts";

export interface FakeS3 extends FakeService {
  /** Objects by their keys. */
  readonly objects: Map<string, Uint8Array>;
}

/** Starts an S3 with one bucket, addressed by path. Lists have pages of two, regardless of the request. */
export async function startS3(bucket: string, address?: string): Promise<FakeS3> {
  const objects = new Map<string, Uint8Array>();
  const service = await startFakeService(
    "s3",
    refusal,
    (request) => {
      const [, name, ...parts] = request.path.split("/");
      if (name !== bucket) return refusal("NoSuchBucket");
      const key = parts.join("/");
      return key === "" ? list(objects, new URLSearchParams(request.query)) : answer(objects, key, request);
    },
    address,
  );
  return { ...service, objects };
}

const pageLength = 2;
const statuses: Readonly<Record<string, number>> = {
  NoSuchKey: 404,
  NoSuchBucket: 404,
  ExpiredToken: 400,
  SlowDown: 503,
};

/** Returns an error as S3 does. One field is an access key, which must not be logged. */
export function refusal(code: string): FakeAnswer {
  const fields = `<Code>${code}</Code><Message>Why: ${code}</Message><AWSAccessKeyId>AKIATEST</AWSAccessKeyId>`;
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${fields}</Error>`;
  return { status: statuses[code] ?? 403, body };
}

function answer(objects: Map<string, Uint8Array>, key: string, { method, body, query, headers }: Arrived): FakeAnswer {
  if (method === "PUT") {
    const sent = Number(headers["content-length"]);
    if (sent !== body.byteLength) return refusal("IncompleteBody");
    objects.set(key, body);
    return { status: 200, body: "" };
  }
  if (method === "DELETE") {
    objects.delete(key);
    return { status: 204, body: "" };
  }
  const found = objects.get(key);
  if (!found) return refusal("NoSuchKey");
  const input = new URLSearchParams(query);
  const disposition = input.get("response-content-disposition");
  const type = input.get("response-content-type") ?? "application/octet-stream";
  const more = disposition === null ? {} : { "content-disposition": disposition };
  return { status: 200, body: found, headers: { "content-type": type, ...more } };
}

function list(objects: Map<string, Uint8Array>, query: URLSearchParams): FakeAnswer {
  const [prefix, after] = [query.get("prefix") ?? "", query.get("continuation-token")];
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && (after === null || key > after)).sort();
  const page = keys.slice(0, pageLength);
  const next = keys.length > pageLength ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : "";
  const contents = page.map((key) => {
    return `<Contents><Key>${key}</Key><Size>${objects.get(key)?.byteLength}</Size></Contents>`;
  });
  return { status: 200, body: `<ListBucketResult>${next}${contents.join("")}</ListBucketResult>` };
}
