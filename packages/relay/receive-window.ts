/** Limit of unacknowledged bytes of a stream. */
export const WINDOW_BYTES = 256 * 1024;

/** A stream that has read so much is read quickly, and may get a larger window. */
const MUCH_BYTES = 16 * WINDOW_BYTES;
export const GROWN_WINDOW_BYTES = 4 * WINDOW_BYTES;

/** Takes a place for a grown window, and returns what gives it back. Returns undefined if no place is left. */
export type TakeGrowth = () => (() => void) | undefined;

/** Places for the grown windows of several streams, because each may hold as many bytes of a client that stops reading. */
export function growthPlaces(most: number): TakeGrowth {
  let taken = 0;
  return () => {
    if (taken >= most) return undefined;
    taken += 1;
    let isTaken = true;
    return () => {
      if (isTaken) taken -= 1;
      isTaken = false;
    };
  };
}

/**
 * Counts received bytes until the other side may send as many again. With places for growth, a stream that has read
 * much gets a larger window: it needs fewer acknowledgements, each of which costs a system call and wakes the other side.
 */
export class ReceiveWindow {
  /** Bytes that wait for their reader. */
  heldBytes = 0;
  limitBytes = WINDOW_BYTES;
  readonly #takeGrowth: TakeGrowth;
  #giveBack: (() => void) | undefined;
  #isClosed = false;
  #readBytes = 0;
  #unacknowledgedBytes = 0;

  constructor(takeGrowth: TakeGrowth = () => undefined) {
    this.#takeGrowth = takeGrowth;
  }

  /** Notes read bytes. Returns for how many bytes to allow more, or 0 while they are not worth a frame. */
  acknowledge(bytes: number): number {
    this.#readBytes += bytes;
    this.#unacknowledgedBytes += bytes;
    // The other side still has the other half.
    if (this.#unacknowledgedBytes < this.limitBytes / 2) return 0;
    const allowed = this.#unacknowledgedBytes + this.#grow();
    this.#unacknowledgedBytes = 0;
    return allowed;
  }

  /** Gives the place of a grown window back. */
  close(): void {
    this.#isClosed = true;
    this.#giveBack?.();
  }

  #grow(): number {
    if (this.#giveBack || this.#isClosed || this.#readBytes < MUCH_BYTES) return 0;
    this.#giveBack = this.#takeGrowth();
    if (!this.#giveBack) return 0;
    this.limitBytes = GROWN_WINDOW_BYTES;
    return GROWN_WINDOW_BYTES - WINDOW_BYTES;
  }
}
