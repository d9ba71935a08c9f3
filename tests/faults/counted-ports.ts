/** Returns the port, and records each call in `calls`, such as `table.get`. */
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
