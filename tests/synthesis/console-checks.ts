import { readdirSync, readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { assetHeaders, listConsolePages } from "#http/console-pages.ts";
import { type Check, different, differentInOrder, ofType } from "./checks.ts";
import { stageSettings } from "./stage-settings.ts";
import type { Resource } from "./synthesize.ts";

const bundle = new URL("../../dist/console/", import.meta.url);

/** Returns the names of the console's scripts and stylesheets, as bundled. */
export function assetNames(): string[] {
  return readdirSync(new URL("assets", bundle));
}

export const consoleChecks = {
  console(resources) {
    return [...listAccess(resources), ...listAssets(resources), ...listBehaviour(resources), ...listPages(resources)];
  },
} as const satisfies Record<string, Check>;

/** Only this distribution reads the bucket (CloudFront Developer Guide, "Restrict access to an Amazon S3 origin"). */
function listAccess(resources: readonly Resource[]): string[] {
  const find = (type: string) => ofType(resources, type).find(({ name }) => name === "Console")?.inputs ?? {};
  const { bucket: name, policy = "{}" } = find("aws:s3/bucketPolicy:BucketPolicy");
  const block = find("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock");
  const access = find("aws:cloudfront/originAccessControl:OriginAccessControl");
  return [
    ...differentInOrder("who reads the console's bucket", JSON.parse(policy).Statement, [
      {
        Effect: "Allow",
        Action: ["s3:GetObject"],
        Resource: [`arn:aws:s3:::${name}/assets/*`],
        Principal: { Service: ["cloudfront.amazonaws.com"] },
        Condition: {
          StringEquals: { "AWS:SourceArn": ["arn:aws:cloudfront::123456789012:distribution/EDFDVBD6EXAMPLE"] },
        },
      },
    ]),
    ...differentInOrder(
      "what is blocked",
      [
        block.bucket,
        block.blockPublicAcls,
        block.blockPublicPolicy,
        block.ignorePublicAcls,
        block.restrictPublicBuckets,
      ],
      [name, true, true, true, true],
    ),
    ...differentInOrder(
      "how the bucket is asked",
      [access.originAccessControlOriginType, access.signingBehavior, access.signingProtocol],
      ["s3", "always", "sigv4"],
    ),
  ];
}

function listAssets(resources: readonly Resource[]): string[] {
  // The code of functions is in objects, too.
  const objects = ofType(resources, "aws:s3/bucketObjectv2:BucketObjectv2").filter(({ name }) =>
    /^Console-/.test(name),
  );
  return [
    ...different(
      "assets",
      objects.map(({ inputs: { key, contentType, cacheControl } }) => `${key} ${contentType} ${cacheControl}`),
      assetNames().map((name) => {
        const headers = assetHeaders(name);
        return `assets/${name} ${headers["Content-Type"]} ${headers["Cache-Control"]}`;
      }),
    ),
    ...objects.filter(({ retained }) => !retained).map(({ name }) => `open pages lose ${name}`),
  ];
}

/** The bucket gets neither the origin secret nor keys and cookies. */
function listBehaviour(resources: readonly Resource[]): string[] {
  const { origins = [], orderedCacheBehaviors = [] } =
    ofType(resources, "aws:cloudfront/distribution:Distribution")[0]?.inputs ?? {};
  const [origin] = origins.filter(({ originId }: Resource["inputs"]) => originId === "console");
  const behaviours: Resource["inputs"][] = orderedCacheBehaviors.filter(
    ({ targetOriginId }: Resource["inputs"]) => targetOriginId === "console",
  );
  return [
    ...differentInOrder("the console's origin", origin, {
      domainName: "console.s3.us-east-1.amazonaws.com",
      originAccessControlId: "Console-id",
      originId: "console",
    }),
    ...differentInOrder("the console's behaviour", behaviours, [
      {
        allowedMethods: ["GET", "HEAD"],
        // CachingOptimized (CloudFront Developer Guide, "Use managed cache policies").
        cachePolicyId: "658327ea-f89d-4fab-a63d-7e88639e58f6",
        cachedMethods: ["GET", "HEAD"],
        compress: true,
        pathPattern: "/assets/*",
        responseHeadersPolicyId: "Console-id",
        targetOriginId: "console",
        viewerProtocolPolicy: "https-only",
      },
    ]),
    ...differentInOrder(
      "headers of assets",
      ofType(resources, "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy").find(
        ({ name }) => name === "Console",
      )?.inputs.securityHeadersConfig,
      {
        contentTypeOptions: { override: true },
        referrerPolicy: { override: true, referrerPolicy: "no-referrer" },
        strictTransportSecurity: { accessControlMaxAgeSec: 31_536_000, override: true },
      },
    ),
  ];
}

/** A browser gets the bundled page with the headers of the embedded stack, and others reach the API. */
function listPages(resources: readonly Resource[]): string[] {
  const { code } = ofType(resources, "aws:cloudfront/function:Function")[0]?.inputs ?? {};
  const ask = (uri: string, accept: string) => {
    const headers = { accept: { value: accept }, host: { value: "berth.dev" } };
    const event = { viewer: { ip: "198.51.100.11" }, request: { method: "GET", uri, headers } };
    return JSON.parse(runInNewContext(`${code}\nJSON.stringify(handler(event))`, { event }));
  };
  const pages = listConsolePages({ scheme: "https", domain: stageSettings.DOMAIN });
  return ["/", "/jobs/x", "/jobs/x/terminal"].flatMap((uri) => {
    const page = pages.find(({ paths }) => paths.test(uri));
    const html = readFileSync(new URL(page?.name ?? "", bundle), "utf8");
    const { statusCode, headers = {}, body } = ask(uri, "text/html,*/*;q=0.8");
    const expected = { ...page?.headers, "Strict-Transport-Security": "max-age=31536000" };
    return [
      ...differentInOrder(`the page at ${uri}`, [statusCode, body?.data], [200, html]),
      ...different(
        `headers of ${uri}`,
        Object.entries(headers).map(([name, field]) => `${name}: ${(field as { readonly value: string }).value}`),
        Object.entries(expected).map(([name, value]) => `${name.toLowerCase()}: ${value}`),
      ),
      ...(ask(uri, "*/*").uri === uri ? [] : [`an API client gets a page at ${uri}`]),
    ];
  });
}
