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

/** Ports whose calls are noted in one list, in the order in which they were made. */
export function countedPorts<Ports extends Readonly<Record<string, object>>>(ports: Ports, calls: string[]): Ports {
  const named = Object.entries(ports).map(([name, port]) => [name, countedPort(name, port, calls)]);
  return Object.fromEntries(named) as Ports;
}
