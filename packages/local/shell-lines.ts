export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

export function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
