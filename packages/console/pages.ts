interface PageParts {
  readonly title: string;
  /** A small script. The browser runs it while it still reads the large one. */
  readonly early: string | undefined;
  readonly script: string;
  readonly style: string;
  /** The scripts that those import, so that the browser need not find them one after the other. */
  readonly imports: readonly string[];
}

/** Returns a page that holds nothing but its scripts and its stylesheet, so that it needs no inline code. */
export function emptyPage({ title, early, script, style, imports }: PageParts): string {
  const asset = (name: string) => `/assets/${name}`;
  const links = imports.map((name) => `<link rel="modulepreload" href="${asset(name)}">`);
  const head = [
    ...(early === undefined ? [] : [`<script type="module" async src="${asset(early)}"></script>`]),
    `<link rel="stylesheet" href="${asset(style)}">`,
    ...links,
    `<script type="module" src="${asset(script)}"></script>`,
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
<noscript>This page needs JavaScript. The command line does not: npm install -g this address/cli/berth.tgz</noscript>
</body>
</html>
`;
}
