/** A part of the stack that can be ended. */
export interface Stoppable {
  stop(): Promise<void>;
}

/** Ends the last one first; one that fails or hangs does not keep the others. Answers whether all ended in good order. */
export async function stopAll(parts: readonly Stoppable[]): Promise<boolean> {
  let isInOrder = true;
  for (const part of parts.toReversed()) isInOrder = (await stopOne(part)) && isInOrder;
  return isInOrder;
}

/** Ends them at the same time. Throws where one did not end in good order. */
export function together(parts: readonly Stoppable[]): Stoppable {
  return {
    async stop() {
      const ended = await Promise.all(parts.map(stopOne));
      if (ended.includes(false)) throw new Error("Some of it did not end");
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
