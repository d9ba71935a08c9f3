import { readFileSync } from "node:fs";
import { join } from "node:path";
import { logicalName } from "../compute/functions.ts";
import type { EndpointEntry, FunctionsFile, SocketEntry } from "../compute/functions-file.ts";
import { SOCKET_STAGE } from "../compute/sockets.ts";
import { type Console, type EdgePage, HSTS_SECONDS } from "./console.ts";

const CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
const CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

/** A command may take EXEC_CAP_SECONDS, 110 by default; an HTTP API ends at 30. */
const SLOW_SECONDS = 120;
const FAST_SECONDS = 35;

export interface EdgeOptions {
  readonly functions: FunctionsFile;
  /** The functions that check the secret. They get it before the edge sends it, or they would answer 403. */
  readonly served: readonly sst.aws.Function[];
  readonly apiUrl: $util.Input<string>;
  /** With its stage, as the path. */
  readonly socketUrl: $util.Input<string>;
  readonly getUrl: (entry: EndpointEntry) => $util.Input<string>;
  readonly originSecrets: $util.Input<string>;
  /** A host name with its certificate in us-east-1. Without it CloudFront chooses the name. */
  readonly domain: { readonly name: string; readonly certificateArn: string } | undefined;
  readonly firewallArn: $util.Input<string>;
  readonly console: Console;
  readonly root: string;
}

/**
 * Creates the one distribution in front of all that serves requests, without a cache and with the function in each
 * behaviour. Only the console's assets have a cache, and no function: their bucket must not see the origin secret.
 */
export function makeEdge(options: EdgeOptions) {
  const { functions, apiUrl, socketUrl, getUrl, domain, firewallArn, console } = options;
  const sockets = functions.filter((entry) => entry.kind === "socket");
  const slow = slowEndpoints(functions);
  const edgeFunction = makeEdgeFunction(options);
  const headers = new aws.cloudfront.ResponseHeadersPolicy("Edge", {
    securityHeadersConfig: { strictTransportSecurity: { accessControlMaxAgeSec: HSTS_SECONDS, override: true } },
  });
  const behaviour = (targetOriginId: string) => ({
    targetOriginId,
    viewerProtocolPolicy: "https-only",
    allowedMethods: ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
    cachedMethods: ["GET", "HEAD"],
    cachePolicyId: CACHING_DISABLED,
    originRequestPolicyId: ALL_VIEWER_EXCEPT_HOST_HEADER,
    responseHeadersPolicyId: headers.id,
    functionAssociations: [{ eventType: "viewer-request", functionArn: edgeFunction.arn }],
    compress: false,
  });
  return new aws.cloudfront.Distribution("Edge", {
    enabled: true,
    webAclId: firewallArn,
    comment: "Berth",
    httpVersion: "http2and3",
    isIpv6Enabled: true,
    ...(domain && { aliases: [domain.name] }),
    origins: [
      origin("api", apiUrl, FAST_SECONDS),
      ...slow.map((entry) => origin(logicalName(entry), getUrl(entry), SLOW_SECONDS)),
      ...sockets.map((entry) => ({
        ...origin(logicalName(entry), socketUrl, FAST_SECONDS),
        originPath: `/${SOCKET_STAGE}`,
      })),
      console.origin,
    ],
    defaultCacheBehavior: behaviour("api"),
    orderedCacheBehaviors: [
      ...[...slow, ...sockets].map((entry) => ({ pathPattern: getPattern(entry), ...behaviour(logicalName(entry)) })),
      assetBehaviour(console),
    ],
    restrictions: { geoRestriction: { restrictionType: "none" } },
    // CloudFront's own name always accepts TLS 1.0 too (CloudFront Developer Guide, "Supported protocols and ciphers
    // between viewers and CloudFront"): TLS 1.2 needs API_DOMAIN.
    viewerCertificate: domain
      ? {
          acmCertificateArn: domain.certificateArn,
          sslSupportMethod: "sni-only",
          minimumProtocolVersion: "TLSv1.2_2021",
        }
      : { cloudfrontDefaultCertificate: true },
  });
}

/** Sends neither cookies nor keys to the bucket, which CloudFront's own signature opens. */
function assetBehaviour({ origin: { originId }, headersPolicyId }: Console) {
  return {
    pathPattern: "/assets/*",
    targetOriginId: originId,
    viewerProtocolPolicy: "https-only",
    allowedMethods: ["GET", "HEAD"],
    cachedMethods: ["GET", "HEAD"],
    cachePolicyId: CACHING_OPTIMIZED,
    responseHeadersPolicyId: headersPolicyId,
    compress: true,
  };
}

function makeEdgeFunction({ served, originSecrets, root, console }: EdgeOptions) {
  const code = readFileSync(join(root, "stacks/edge/edge-function.js"), "utf8");
  return new aws.cloudfront.Function(
    "Edge",
    {
      runtime: "cloudfront-js-2.0",
      comment: "Berth: the key off the path, the origin secret on",
      code: $util.output(originSecrets).apply((secrets) => edgeCode(code, secrets, console.pages)),
    },
    // Pages name assets, and the secret is known to functions, before the edge sends either.
    { dependsOn: [...served.map(({ nodes }) => nodes.function), ...console.assets] },
  );
}

function slowEndpoints(functions: FunctionsFile): EndpointEntry[] {
  return functions.filter((entry) => entry.kind === "endpoint").filter((entry) => entry.functionUrl === true);
}

/** Matches the viewer's path before the function runs, so it allows a `/k/` prefix. */
function getPattern({ path }: EndpointEntry | SocketEntry): string {
  return `*${path.replaceAll(/\{\w+\}/g, "*")}`;
}

function origin(originId: string, url: $util.Input<string>, readSeconds: number) {
  return {
    originId,
    domainName: $util.output(url).apply((text) => new URL(text).hostname),
    customOriginConfig: {
      httpPort: 80,
      httpsPort: 443,
      originProtocolPolicy: "https-only",
      originSslProtocols: ["TLSv1.2"],
      originReadTimeout: readSeconds,
    },
  };
}

/**
 * Returns the edge function's code with the newest secret and the console's pages. Throws for a secret with characters
 * that could end the literal.
 */
export function edgeCode(code: string, originSecrets: string, pages: readonly EdgePage[]): string {
  const [newest = ""] = originSecrets.split(",");
  if (!/^[\w-]{32,128}$/.test(newest)) {
    throw new Error("OriginSecrets must be secrets of 32 to 128 letters, digits, _ and -, separated by a comma");
  }
  const literals = pages.map(
    ({ paths, headers, html }) =>
      `{ paths: ${paths}, headers: ${JSON.stringify(headers)}, html: ${JSON.stringify(html)} }`,
  );
  return code.replace("<origin secret>", newest).replace("/* the pages of the console */", () => literals.join(",\n"));
}
