export interface PageParts {
  readonly title: string;
  readonly script: string;
  readonly style: string;
  /** The scripts that those import, so that the browser need not find them one after the other. */
  readonly imports: readonly string[];
  /** The scripts that it loads later. The browser fetches them now, but compiles them only then. */
  readonly later: readonly string[];
}

/** Returns a page that holds nothing but its scripts and its stylesheet, so that it needs no inline code. */
export function emptyPage({ title, script, style, imports, later }: PageParts): string {
  const asset = (name: string) => `/assets/${name}`;
  const head = [
    `<link rel="stylesheet" href="${asset(style)}">`,
    ...imports.map((name) => `<link rel="modulepreload" href="${asset(name)}">`),
    ...later.map((name) => `<link rel="preload" as="script" crossorigin href="${asset(name)}">`),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
${head.join("\n")}
</head>
<body>
<div id="root"></div>
<script type="module" async src="${asset(script)}"></script>
<noscript>This page needs JavaScript. The command line does not: npm install -g this address/cli/berth.tgz</noscript>
</body>
</html>
`;
}
