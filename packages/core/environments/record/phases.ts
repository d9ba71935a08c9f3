/** The words a life ends with. */
export const endPhases = ["completed", "expired", "cancelled", "failed", "deleted"] as const;
export type EndPhase = (typeof endPhases)[number];

export const phases = ["queued", "preparing", "active", "stopping", "stopped", ...endPhases] as const;
/** Every table of them is a `Record<Phase, …>`: one that lacks a phase does not compile. */
export type Phase = (typeof phases)[number];

/** Where preparing is; before `image` no pod is bound to a machine. */
export type PreparingStep = "disk" | "pod" | "image" | "container" | "probe";
