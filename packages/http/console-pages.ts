/** A page of the web console. The embedded stack serves it, and at AWS the edge does. */
export interface ConsolePage {
  readonly name: "index.html" | "terminal.html";
  /** The paths of the page. They belong to no route of an API, apart from `/`. */
  readonly paths: RegExp;
  readonly headers: Readonly<Record<string, string>>;
}

/** Headers of pages and assets. */
const common = { "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff" };

const policyParts = [
  "default-src 'none'",
  "script-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
];

/** The address of pages and terminals of environments. Undefined if they serve none. */
export interface PagesAddress {
  readonly scheme: "http" | "https";
  /** Possibly with a port. */
  readonly domain: string | undefined;
}

/** Returns the console's pages. The first one whose paths match answers. */
export function listConsolePages(address: PagesAddress): readonly ConsolePage[] {
  // xterm.js adds a style element to the page.
  const terminalParts = [
    "style-src 'self' 'unsafe-inline'",
    `connect-src ${["'self'", ...sockets(address)].join(" ")}`,
  ];
  return [
    { name: "terminal.html", paths: /^\/jobs\/[^/]+\/terminal$/, headers: pageHeaders(terminalParts) },
    {
      name: "index.html",
      paths: /^\/(?:login|new|jobs\/.+|disks(?:\/.+)?|cluster|account|admin(?:\/.+)?)?$/,
      headers: pageHeaders(["style-src 'self'", "connect-src 'self'"]),
    },
  ];
}

/** The sockets of terminals, whose hosts have the names of environments. */
function sockets({ scheme, domain }: PagesAddress): string[] {
  return domain === undefined ? [] : [`${scheme === "https" ? "wss" : "ws"}://*.${domain}`];
}

function pageHeaders(ownParts: readonly string[]): Record<string, string> {
  return {
    ...common,
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": [...policyParts, ...ownParts].join("; "),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  };
}

/** Returns the headers of a script or stylesheet, whose name holds a hash of its content. */
export function assetHeaders(name: string): Record<string, string> {
  return {
    ...common,
    "Content-Type": `${name.endsWith(".js") ? "text/javascript" : "text/css"}; charset=utf-8`,
    "Cache-Control": "public, max-age=31536000, immutable",
  };
}
