import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assetHeaders, listConsolePages, type PagesAddress } from "#http/console-pages.ts";
import type { Stage } from "../stage.ts";

/** A browser then uses only HTTPS for a year (RFC 6797). Host names below this one are not Berth's to bind. */
export const HSTS_SECONDS = 31_536_000;

/** A page that the edge function answers itself. */
export interface EdgePage {
  readonly paths: RegExp;
  /** Names are in lower case (CloudFront Developer Guide, "CloudFront Functions event structure"). */
  readonly headers: Readonly<Record<string, { readonly value: string }>>;
  readonly html: string;
}

/** The web console: its assets in a bucket, and its two pages. */
export interface Console {
  readonly pages: readonly EdgePage[];
  readonly assets: readonly aws.s3.BucketObjectv2[];
  readonly bucket: aws.s3.Bucket;
  readonly origin: {
    readonly originId: string;
    readonly domainName: $util.Output<string>;
    readonly originAccessControlId: $util.Output<string>;
  };
  readonly headersPolicyId: $util.Output<string>;
}

/**
 * Uploads the console's bundle. The edge function holds the pages, because a path alone chooses an origin: at `/`,
 * API clients get JSON. S3 could not send their Content-Security-Policy either.
 */
export function makeConsole({ tableName, isProduction, gateway, settings }: Stage, root: string): Console {
  // Without a gateway, environments serve no pages and no terminals.
  const scheme = settings.SCHEME === "http" ? "http" : "https";
  const address: PagesAddress = { scheme, domain: gateway && settings.DOMAIN };
  const bundle = join(root, "dist/console");
  const bucket = new aws.s3.Bucket("Console", {
    bucketPrefix: `${tableName}-console-`,
    forceDestroy: !isProduction,
  });
  new aws.s3.BucketPublicAccessBlock("Console", {
    bucket: bucket.bucket,
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  });
  const access = new aws.cloudfront.OriginAccessControl("Console", {
    originAccessControlOriginType: "s3",
    signingBehavior: "always",
    signingProtocol: "sigv4",
  });
  return {
    bucket,
    pages: edgePages(address, (name) => readFileSync(join(bundle, name), "utf8")),
    assets: readdirSync(join(bundle, "assets")).map((name) => uploadAsset(bucket, bundle, name)),
    origin: {
      originId: "console",
      domainName: bucket.bucketRegionalDomainName,
      originAccessControlId: access.id,
    },
    headersPolicyId: makeHeadersPolicy().id,
  };
}

/** Open pages load the assets of their own deployment, so assets of former ones stay. */
function uploadAsset(bucket: aws.s3.Bucket, bundle: string, name: string): aws.s3.BucketObjectv2 {
  const { "Content-Type": contentType, "Cache-Control": cacheControl } = assetHeaders(name);
  return new aws.s3.BucketObjectv2(
    `Console-${name}`,
    {
      bucket: bucket.bucket,
      key: `assets/${name}`,
      source: new $util.asset.FileAsset(join(bundle, "assets", name)),
      contentType,
      cacheControl,
    },
    { retainOnDelete: true },
  );
}

/** Returns the pages as the edge function answers them. */
export function edgePages(address: PagesAddress, readPage: (name: string) => string): EdgePage[] {
  return listConsolePages(address).map(({ name, paths, headers }) => ({
    paths,
    headers: edgeHeaders({ ...headers, "Strict-Transport-Security": `max-age=${HSTS_SECONDS}` }),
    html: readPage(name),
  }));
}

function edgeHeaders(headers: Readonly<Record<string, string>>): EdgePage["headers"] {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), { value }]));
}

/** S3 sends the type and the age of an asset itself, and no other header. */
function makeHeadersPolicy(): aws.cloudfront.ResponseHeadersPolicy {
  const { "Referrer-Policy": referrerPolicy = "" } = assetHeaders(".js");
  return new aws.cloudfront.ResponseHeadersPolicy("Console", {
    securityHeadersConfig: {
      strictTransportSecurity: { accessControlMaxAgeSec: HSTS_SECONDS, override: true },
      contentTypeOptions: { override: true },
      referrerPolicy: { referrerPolicy, override: true },
    },
  });
}

/** Lets this distribution, and nobody else, read the assets. */
export function openConsole({ bucket }: Console, distributionArn: $util.Input<string>): void {
  const { json } = aws.iam.getPolicyDocumentOutput({
    statements: [
      {
        principals: [{ type: "Service", identifiers: ["cloudfront.amazonaws.com"] }],
        actions: ["s3:GetObject"],
        resources: [$util.interpolate`${bucket.arn}/assets/*`],
        conditions: [{ test: "StringEquals", variable: "AWS:SourceArn", values: [distributionArn] }],
      },
    ],
  });
  new aws.s3.BucketPolicy("Console", { bucket: bucket.bucket, policy: json });
}
