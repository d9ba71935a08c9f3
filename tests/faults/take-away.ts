/** Makes these calls of a fake fail, as while a cluster is away; what is answered brings them back. */
export function takeAway<Port extends object>(port: Port, ...calls: readonly (keyof Port)[]): () => void {
  const before = Object.fromEntries(calls.map((name) => [name, port[name]]));
  const away = async () => {
    throw new Error("connect ETIMEDOUT");
  };
  Object.assign(port, Object.fromEntries(calls.map((name) => [name, away])));
  return () => void Object.assign(port, before);
}
