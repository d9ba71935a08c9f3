/** Makes these calls of a fake fail, as if the cluster was unreachable. Returns a function that ends this. */
export function takeAway<Port extends object>(port: Port, ...calls: readonly (keyof Port)[]): () => void {
  const before = Object.fromEntries(calls.map((name) => [name, port[name]]));
  const away = async () => {
    throw new Error("connect ETIMEDOUT");
  };
  Object.assign(port, Object.fromEntries(calls.map((name) => [name, away])));
  return () => void Object.assign(port, before);
}
