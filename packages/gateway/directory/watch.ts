/** Repeats a check, but not before the last one has ended. A failed check is repeated too. Returns a function that stops. */
export function watch(
  check: () => Promise<unknown>,
  everyMs: number,
  onFailure: (error: unknown) => void = () => undefined,
): () => void {
  let isChecking = false;
  const watching = setInterval(() => {
    if (isChecking) return;
    isChecking = true;
    void check()
      .catch(onFailure)
      .finally(() => {
        isChecking = false;
      });
  }, everyMs);
  return () => clearInterval(watching);
}
