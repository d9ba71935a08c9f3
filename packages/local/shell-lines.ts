/** Lines like `export NAME='value'`. */
export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

/** For any POSIX shell: single quotes, and a quote inside as '\\''. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
