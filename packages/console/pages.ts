interface PageParts {
  readonly title: string;
  readonly script: string;
  readonly style: string;
  /** The scripts that the script imports, so that the browser need not find them one after the other. */
  readonly imports: readonly string[];
}

/** Returns a page that holds nothing but its script and its stylesheet, so that it needs no inline code. */
export function emptyPage({ title, script, style, imports }: PageParts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/${style}">
${imports.map((name) => `<link rel="modulepreload" href="/assets/${name}">\n`).join("")}\
<script type="module" src="/assets/${script}"></script>
</head>
<body>
<div id="root"></div>
<noscript>This page needs JavaScript. The command line does not: npm install -g this address/cli/berth.tgz</noscript>
</body>
</html>
`;
}
