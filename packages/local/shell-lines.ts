export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

/** Quotes a value for any POSIX shell: in single quotes, with each quote inside as '\\''. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
