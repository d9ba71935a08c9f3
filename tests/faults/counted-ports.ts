/** The same port; each call is noted as `table.get` before it goes on. */
export function countedPort<Port extends object>(name: string, port: Port, calls: string[]): Port {
  const verbs = Object.entries(port).map(([verb, call]: [string, (...input: unknown[]) => unknown]) => [
    verb,
    (...input: unknown[]) => {
      calls.push(`${name}.${verb}`);
      return call(...input);
    },
  ]);
  return Object.fromEntries(verbs) as Port;
}
