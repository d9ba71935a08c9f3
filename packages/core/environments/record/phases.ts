export const endPhases = ["completed", "expired", "cancelled", "failed", "deleted"] as const;
export type EndPhase = (typeof endPhases)[number];

export const phases = ["queued", "preparing", "active", "stopping", "stopped", ...endPhases] as const;
/** Tables of phases are `Record<Phase, …>`, so a missing phase does not compile. */
export type Phase = (typeof phases)[number];

/** Progress within `preparing`; before `image`, no pod is bound to a machine. */
export type PreparingStep = "disk" | "pod" | "image" | "container" | "probe";
