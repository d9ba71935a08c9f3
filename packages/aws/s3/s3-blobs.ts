import type { Blobs } from "#core/ports/blobs.ts";
import { isBlobName, requireBlobName } from "#core/store/blob-name.ts";
import {
  type AwsService,
  AwsServiceError,
  callService,
  environmentCredentials,
  presignCall,
  type ServiceCall,
} from "../service-call.ts";
import { readConfig } from "../settings/config.ts";

export const blobs = (): Blobs => {
  const config = readConfig(["BLOBS_BUCKET", "AWS_REGION", "AWS_ENDPOINT_URL_S3"]);
  const { BLOBS_BUCKET: bucket, AWS_REGION: region, AWS_ENDPOINT_URL_S3: endpoint } = config;
  const url = endpoint === undefined ? `https://${bucket}.s3.${region}.amazonaws.com` : `${endpoint}/${bucket}`;
  return s3Blobs({ name: "s3", region, url, credentials: environmentCredentials });
};

/** Lifetime of a signed URL: long enough to start a download, short enough for a browser's history. */
const urlSeconds = 900;

/**
 * Stores blobs in the bucket at the service's URL. The role needs s3:ListBucket: without it S3 answers 403 for a
 * missing object. Throws `AwsServiceError` if S3 refuses.
 */
export function s3Blobs(service: AwsService): Blobs {
  const call = (name: string, method: ServiceCall["method"], blob: string, more: Partial<ServiceCall> = {}) => {
    requireBlobName(blob);
    return callService(service, { name, method, path: `/${blob}`, ...more });
  };
  return {
    async put(name, bytes) {
      // The signature covers the body's hash, so S3 rejects a changed body.
      await call("PutObject", "PUT", name, { headers: { "content-type": plainBytes }, body: new Uint8Array(bytes) });
    },
    get: async (name) => call("GetObject", "GET", name).catch(unlessMissing),
    async getSize(name) {
      requireBlobName(name);
      const { objects } = await listPage(service, { prefix: name, "max-keys": "1" });
      return objects.find((entry) => entry.name === name)?.bytes;
    },
    async remove(name) {
      await call("DeleteObject", "DELETE", name);
    },
    async removeUnder(name) {
      requireBlobName(name);
      for await (const page of pagesUnder(service, `${name}/`)) {
        await Promise.all(page.map((name) => call("DeleteObject", "DELETE", name)));
      }
    },
    async urlToGet(name, { contentType, fileName }) {
      requireBlobName(name);
      if (!typeForm.test(contentType) || !fileForm.test(fileName))
        throw new Error("The content type or the file name is invalid");
      const disposition = `attachment; filename="${fileName}"`;
      const query = { "response-content-type": contentType, "response-content-disposition": disposition };
      const get = { name: "GetObject", method: "GET", path: `/${name}`, query } as const;
      return presignCall(service, get, { seconds: urlSeconds });
    },
    async urlToPut(name) {
      requireBlobName(name);
      const headers = { "content-type": plainBytes };
      const put = { name: "PutObject", method: "PUT", path: `/${name}`, headers } as const;
      return { url: await presignCall(service, put, { seconds: urlSeconds }), headers };
    },
  };
}

const plainBytes = "application/octet-stream";
// Subset of RFC 9110 and RFC 6266 that needs no quoting and cannot end the header.
const typeForm = /^[a-z]+\/[a-z0-9.+-]+(; charset=utf-8)?$/;
const fileForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Returns undefined for a missing object. A missing bucket stays an error. */
function unlessMissing(error: unknown): undefined {
  if (error instanceof AwsServiceError && error.name === "NoSuchKey") return undefined;
  throw error;
}

/** Objects that are deleted at once. */
const pageLength = "20";

/** Yields pages of blobs with this prefix. Skips objects whose names are no blob names. */
async function* pagesUnder(service: AwsService, prefix: string): AsyncGenerator<string[]> {
  let after: string | undefined;
  do {
    const query = { prefix, "max-keys": pageLength };
    const page = await listPage(service, after === undefined ? query : { ...query, "continuation-token": after });
    yield page.objects.map(({ name }) => name).filter(isBlobName);
    after = page.next;
  } while (after !== undefined);
}

interface Listed {
  readonly name: string;
  readonly bytes: number;
}

/** Lists objects by name, consistently. Throws if the bucket is missing. */
async function listPage(
  service: AwsService,
  query: Readonly<Record<string, string>>,
): Promise<{ readonly objects: readonly Listed[]; readonly next: string | undefined }> {
  const call = { name: "ListObjectsV2", method: "GET", path: "/", query: { "list-type": "2", ...query } } as const;
  const page = Buffer.from(await callService(service, call)).toString("utf8");
  const objects = [...page.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry = ""]) => ({
    name: /<Key>([^<]*)<\/Key>/.exec(entry)?.[1] ?? "",
    bytes: Number(/<Size>(\d+)<\/Size>/.exec(entry)?.[1]),
  }));
  return { objects, next: /<NextContinuationToken>([^<]+)<\/NextContinuationToken>/.exec(page)?.[1] };
}
