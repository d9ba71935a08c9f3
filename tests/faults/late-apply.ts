import type { Compute, Run } from "#core/ports/compute.ts";

/** The first `apply` is given up without an answer; it takes effect, as it was asked for then, when the next one is made. */
export function applyLate(compute: { apply: Compute["apply"] }): void {
  const { apply } = compute;
  let first: Run | undefined;
  compute.apply = async (run) => {
    if (first) return apply(first);
    first = run;
    throw new Error("no answer in 5 s");
  };
}
