/**
 * Runs at the edge before each request (CloudFront Functions, cloudfront-js-2.0): takes the key off the path, and says
 * what the path was, who asks and that the request came this way (docs/architecture/edge.md).
 */
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by this name
function handler(event) {
  const request = event.request;
  Object.keys(request.headers)
    .filter((name) => name.startsWith("x-berth-"))
    .forEach((name) => {
      delete request.headers[name];
    });
  const found = /^\/k\/([^/]*)(\/.*)?$/.exec(request.uri);
  if (found) {
    // A header is not empty, and no key in a path holds a slash.
    request.headers["x-berth-key"] = { value: found[1] || "/" };
    request.uri = found[2] || "/";
  }
  const page = !found && findPage(request);
  if (page) return page;
  if ((request.uri === "/" || request.headers.origin) && request.headers.host) {
    // The page at / shows the address, and Origin is compared with it. The API behind the edge gets a host of its own.
    request.headers["x-berth-host"] = { value: request.headers.host.value };
  }
  // No route begins with a misspelt prefix, and a key behind one is a key all the same: no log may hold it. Slashes, dots,
  // backslashes and the k may be escaped, also twice.
  const misspelt = /^((?:[/.\\]|%(?:25)*(?:2f|2e|5c))+(?:k|%(?:25)*[46]b)(?:[/\\]|%(?:25)*(?:2f|5c))+)[^/]+/i;
  if (!found) request.uri = request.uri.replace(misspelt, "$1***");
  if (/^\/v1\/cloudrun\/workspaces\/[^/]+\/shell$/.test(request.uri)) {
    // A WebSocket API has no paths.
    request.headers["x-berth-path"] = { value: request.uri };
    request.uri = "/";
  }
  if (request.uri.includes("%")) {
    // An HTTP API decodes a path before it looks for a route: an escaped slash would divide it.
    request.headers["x-berth-path"] = { value: request.uri };
    // What names a route is shorter than this. The rest would count twice there, in the path and in the header.
    request.uri = request.uri
      .replace(/%2f/gi, (slash) => `%25${slash.slice(1)}`)
      .replace(/[^/]{40,}/g, "-")
      .replace(/^((?:\/[^/]*){10})\/.*$/, "$1");
  }
  request.headers["x-berth-viewer"] = { value: event.viewer.ip };
  request.headers["x-berth-origin"] = { value: "<origin secret>" };
  return request;
}

/** The console's pages: paths, headers, html (edge.ts). */
const pages = [
  /* the pages of the console */
];

/** Returns the answer to a browser that opens a screen of the console. API clients accept JSON, or name no type. */
function findPage(request) {
  const accept = request.headers.accept ? request.headers.accept.value : "";
  if (request.method !== "GET" && request.method !== "HEAD") return null;
  if (!/\btext\/html\b/i.test(accept) || /\bapplication\/json\b/i.test(accept)) return null;
  const page = pages.find((each) => each.paths.test(request.uri));
  if (!page) return null;
  const answer = { statusCode: 200, statusDescription: "OK", headers: page.headers };
  if (request.method === "GET") answer.body = { encoding: "text", data: page.html };
  return answer;
}
