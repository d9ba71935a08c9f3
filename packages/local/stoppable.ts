export interface Stoppable {
  stop(): Promise<void>;
}

/** Stops the parts in reverse order, even if one fails or hangs. Returns whether all stopped cleanly. */
export async function stopAll(parts: readonly Stoppable[]): Promise<boolean> {
  let isInOrder = true;
  for (const part of parts.toReversed()) isInOrder = (await stopOne(part)) && isInOrder;
  return isInOrder;
}

export function together(parts: readonly Stoppable[]): Stoppable {
  return {
    async stop() {
      const ended = await Promise.all(parts.map(stopOne));
      if (ended.includes(false)) throw new Error("Some parts did not stop");
    },
  };
}

const patienceMs = 1_500;

async function stopOne(part: Stoppable): Promise<boolean> {
  const ended = part.stop().then(
    () => true,
    () => false,
  );
  return Promise.race([ended, new Promise<false>((resolve) => setTimeout(resolve, patienceMs, false).unref())]);
}
