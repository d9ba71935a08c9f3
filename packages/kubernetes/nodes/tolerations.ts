import type { Node } from "../objects.ts";

/** A toleration of pods. Without `value` it matches any, without `effect` all. */
export interface Toleration {
  readonly key: string;
  readonly value?: string | undefined;
  readonly effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute" | undefined;
}

/** GPU nodes often have this taint, which keeps pods without GPUs away. */
const gpuToleration: Toleration = { key: "nvidia.com/gpu", effect: "NoSchedule" };

/** Returns the tolerations of each of Berth's pods as a pod spec has them. `more` is from `NODE_TOLERATIONS`. */
export function podTolerations(more: readonly Toleration[] = []): object[] {
  return [gpuToleration, ...more].map(({ key, value, effect }) => ({
    key,
    ...(value === undefined ? { operator: "Exists" } : { operator: "Equal", value }),
    ...(effect !== undefined && { effect }),
  }));
}

/** Reports whether taints exclude runs. */
export function isKeptForOthers({ spec }: Node, more: readonly Toleration[] = []): boolean {
  const all = [gpuToleration, ...more];
  return (spec.taints ?? []).some((taint) => taint.effect !== "PreferNoSchedule" && !all.some(tolerates(taint)));
}

type Taint = NonNullable<Node["spec"]["taints"]>[number];

/** The rules are those of the scheduler (Kubernetes, "Taints and Tolerations"). */
function tolerates(taint: Taint) {
  return ({ key, value, effect }: Toleration) =>
    key === taint.key &&
    (effect === undefined || effect === taint.effect) &&
    (value === undefined || value === (taint.value ?? ""));
}
