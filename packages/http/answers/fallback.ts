/** The function behind the gateway's default route. */
export interface Fallback {
  readonly kind: "fallback";
  readonly summary: string;
  readonly uses: readonly never[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
}

/** Returns 404 or 405 in the envelope of the path's dialect. */
export function fallbackFor(summary: string): Fallback {
  return { kind: "fallback", summary, uses: [], timeoutSeconds: 10, memoryMb: 512 };
}
