import type { Blobs } from "#core/ports/blobs.ts";
import { isBlobName, requireBlobName } from "#core/store/blob-name.ts";
import { type AwsService, callService, presignCall, type ServiceCall } from "../service-call.ts";
import { AwsServiceError } from "../service-error.ts";
import { readConfig } from "../settings/config.ts";
import { environmentCredentials } from "../sts/environment-credentials.ts";

/** The blobs of this deployment: objects of the bucket that BLOBS_BUCKET names. */
export const blobs = (): Blobs => {
  const config = readConfig(["BLOBS_BUCKET", "AWS_REGION", "AWS_ENDPOINT_URL_S3"]);
  const { BLOBS_BUCKET: bucket, AWS_REGION: region, AWS_ENDPOINT_URL_S3: endpoint } = config;
  const url = endpoint === undefined ? `https://${bucket}.s3.${region}.amazonaws.com` : `${endpoint}/${bucket}`;
  return s3Blobs({ name: "s3", region, url, credentials: environmentCredentials });
};

/** A signed address outlasts a download that somebody began to look at, and not a day in somebody's history. */
const urlSeconds = 900;

/**
 * Blobs as objects of a bucket, whose address is the service's URL. Its role needs s3:ListBucket too: without it S3
 * answers 403 for an object that is gone, which is taken for what it says. Throws `AwsServiceError` where S3 refuses.
 */
export function s3Blobs(service: AwsService): Blobs {
  const call = (name: string, method: ServiceCall["method"], blob: string, more: Partial<ServiceCall> = {}) => {
    requireBlobName(blob);
    return callService(service, { name, method, path: `/${blob}`, ...more });
  };
  return {
    async put(name, bytes) {
      // Its hash is signed with it: S3 keeps nothing that was changed on the way.
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
        throw new Error("Not a content type and a file name");
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
// Of RFC 9110 and RFC 6266, what needs no quoting: neither ends the header or begins another one.
const typeForm = /^[a-z]+\/[a-z0-9.+-]+(; charset=utf-8)?$/;
const fileForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A bucket that is gone is not a blob that is gone. */
function unlessMissing(error: unknown): undefined {
  if (error instanceof AwsServiceError && error.name === "NoSuchKey") return undefined;
  throw error;
}

/** Removed together, so few enough for one moment. */
const pageLength = "20";

/** The names of blobs that begin with this, a page at a time; what is no blob's name is somebody else's. */
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

/**
 * In the order of their names; a list has what was put just before. A bucket that is gone is an error here, and no
 * object.
 */
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
