/** The same port; each call is noted as `table.get` before it goes on. */
export function countedPort<Port extends object>(name: string, port: Port, calls: string[]): Port {
  const verbs = Object.entries(port).map(([verb, call]: [string, (...given: unknown[]) => unknown]) => [
    verb,
    (...given: unknown[]) => {
      calls.push(`${name}.${verb}`);
      return call(...given);
    },
  ]);
  return Object.fromEntries(verbs) as Port;
}
