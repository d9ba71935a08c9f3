/** Something that a cluster lacks. */
export interface Finding {
  readonly what: string;
  readonly missing: string;
  readonly todo: string;
}

/** A check that was not made. */
export interface LeftOut {
  readonly what: string;
  readonly why: string;
}

export interface ClusterReport {
  readonly findings: readonly Finding[];
  readonly leftOut: readonly LeftOut[];
}
