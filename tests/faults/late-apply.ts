import type { Compute, Run } from "#core/ports/compute.ts";

/** Delays the first `apply`: it fails without an answer, and takes effect at the next one. */
export function applyLate(compute: { apply: Compute["apply"] }): void {
  const { apply } = compute;
  let first: Run | undefined;
  compute.apply = async (run) => {
    if (first) return apply(first);
    first = run;
    throw new Error("no answer in 5 s");
  };
}
