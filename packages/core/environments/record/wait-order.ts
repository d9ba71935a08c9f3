/** The place of an environment in the `waiting` index of a pool. */
export interface Standing {
  readonly owner: string;
  readonly queuedAt: number;
  readonly uid: string;
}

/** Owner, then time, then uid: the line of one owner is one range of the index. */
export function waitOrderOf({ owner, queuedAt, uid }: Standing): string {
  return `${owner}#${String(queuedAt).padStart(13, "0")}#${uid}`;
}

/** What such an order says; undefined for text that is none. */
export function readWaitOrder(order: unknown): Standing | undefined {
  if (typeof order !== "string") return undefined;
  const [owner = "", time = "", uid = "", ...rest] = order.split("#");
  if (owner === "" || uid === "" || rest.length > 0 || !/^\d{13,}$/.test(time)) return undefined;
  return { owner, queuedAt: Number(time), uid };
}

/** Between these lies everybody of this owner, and nobody else. */
export function lineOf(owner: string): { readonly from: string; readonly to: string } {
  return { from: `${owner}#`, to: endOfLine(owner) };
}

/** Sorts behind everybody of this owner and before everybody of the next one: `$` is the character after `#`. */
export function endOfLine(owner: string): string {
  return `${owner}$`;
}
