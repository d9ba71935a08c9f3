/**
 * Returns a function that sends one signal at a time, because each takes a connection of its own to the API server. A
 * signal that already waits is not added again: Linux merges pending signals of one kind too (signal(7)). `send` never
 * rejects.
 */
export function signalQueue(send: (signal: NodeJS.Signals) => Promise<void>) {
  const waiting = new Map<NodeJS.Signals, Promise<void>>();
  let last = Promise.resolve();
  return (signal: NodeJS.Signals): Promise<void> => {
    const pending = waiting.get(signal);
    if (pending !== undefined) return pending;
    last = last.then(() => {
      waiting.delete(signal);
      return send(signal);
    });
    waiting.set(signal, last);
    return last;
  };
}
