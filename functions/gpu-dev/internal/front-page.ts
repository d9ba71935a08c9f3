import { createHash } from "node:crypto";
import { answer } from "#http/answers/answer.ts";

const style = `
:root { color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif; }
body { max-width: 40rem; margin: 4rem auto; padding: 0 1.25rem; color: #1b2733; background: #fdfdfc; }
h1 { font-size: 1.75rem; margin-bottom: .25rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { padding: .9rem 1rem; border-radius: .5rem; overflow-x: auto; background: #eef1f3; }
code, pre { font: .9rem/1.6 ui-monospace, monospace; }
a { color: #0b5fa5; }
footer { margin-top: 2.5rem; font-size: .85rem; color: #55636f; }
@media (prefers-color-scheme: dark) {
  body { color: #dde4ea; background: #14191e; }
  pre { background: #20272e; }
  a { color: #7cbcf2; }
  footer { color: #9aa7b2; }
}
`;

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

interface FrontPage {
  readonly host: string;
  readonly version: string;
  readonly servesCli: boolean;
}

export function frontPage(options: FrontPage) {
  return answer(getPage(options), {
    contentType: "text/html; charset=utf-8",
    headers: { "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", Vary: "Accept" },
  });
}

function getPage({ host, version, servesCli }: FrontPage): string {
  const address = getAddress(host);
  const install = servesCli ? `npm install -g ${address}/cli/berth.tgz\n` : "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Berth</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<h1>Berth</h1>
<p>GPU and CPU development environments: ask for a machine, wait for your turn, log in by SSH.</p>
<h2>Start from your terminal</h2>
<pre><code>${install}berth login ${address}
berth up</code></pre>
<h2>Use the API</h2>
<ul>
<li><a href="/docs">Interactive documentation</a></li>
<li><a href="/openapi.json">OpenAPI document</a>, for generators of clients</li>
<li><a href="/health">Health</a></li>
</ul>
</main>
<footer>Berth ${version}</footer>
</body>
</html>
`;
}

/** Assumes TLS except for this machine. Does not repeat a malformed host. */
function getAddress(host: string): string {
  if (!/^([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$/i.test(host)) return "https://&lt;this address&gt;";
  return `${/^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$/i.test(host) ? "http" : "https"}://${host}`;
}
