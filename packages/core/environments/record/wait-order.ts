export interface Standing {
  readonly owner: string;
  readonly queuedAt: number;
  readonly uid: string;
}

/** Orders by owner, time and uid, so that one owner's line is one range of the index. */
export function formatWaitOrder({ owner, queuedAt, uid }: Standing): string {
  return `${owner}#${String(queuedAt).padStart(13, "0")}#${uid}`;
}

export function readWaitOrder(order: unknown): Standing | undefined {
  if (typeof order !== "string") return undefined;
  const [owner = "", time = "", uid = "", ...rest] = order.split("#");
  if (owner === "" || uid === "" || rest.length > 0 || !/^\d{13,}$/.test(time)) return undefined;
  return { owner, queuedAt: Number(time), uid };
}

export function ownerRange(owner: string): { readonly from: string; readonly to: string } {
  return { from: `${owner}#`, to: endOfLine(owner) };
}

/** Sorts after this owner and before the next: `$` is the character after `#`. */
export function endOfLine(owner: string): string {
  return `${owner}$`;
}
