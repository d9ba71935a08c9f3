/** Limit of unacknowledged bytes of a stream. */
export const WINDOW_BYTES = 256 * 1024;

/** A stream may get a larger window once its client reads this many bytes in this time. */
const [GROWTH_BYTES, GROWTH_WITHIN_MS] = [16 * WINDOW_BYTES, 2_000];
export const GROWN_WINDOW_BYTES = 4 * WINDOW_BYTES;

/** Takes a place for a grown window. Returns a function that gives the place back, or undefined if no place is left. */
export type TakeGrowth = () => (() => void) | undefined;

/**
 * Bounds the grown windows of several streams, because each holds up to 1 MiB if its client stops reading. Each place
 * also takes one of `parent`.
 */
export function growthPlaces(most: number, parent: TakeGrowth = () => () => undefined): TakeGrowth {
  let taken = 0;
  return () => {
    const giveBackToParent = taken < most ? parent() : undefined;
    if (!giveBackToParent) return undefined;
    taken += 1;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      taken -= 1;
      giveBackToParent();
    };
  };
}

/**
 * Counts received bytes until the other side may send as many again. With places for growth, a stream that is read
 * quickly gets a larger window: it needs fewer acknowledgements, each of which costs a system call and wakes the other
 * side.
 */
export class ReceiveWindow {
  /** Bytes that wait for their reader. */
  heldBytes = 0;
  limitBytes = WINDOW_BYTES;
  readonly #takeGrowth: TakeGrowth;
  readonly #now: () => number;
  #giveBack: (() => void) | undefined;
  #isClosed = false;
  #burst = { begunAt: 0, bytes: 0 };
  #unacknowledgedBytes = 0;

  /** `now` is a clock in ms. */
  constructor(takeGrowth: TakeGrowth = () => undefined, now = () => performance.now()) {
    this.#takeGrowth = takeGrowth;
    this.#now = now;
  }

  /** Notes read bytes. Returns for how many bytes to allow more, or 0 while they are not worth a frame. */
  acknowledge(bytes: number): number {
    this.#unacknowledgedBytes += bytes;
    // The other side still has the other half.
    if (this.#unacknowledgedBytes < this.limitBytes / 2) return 0;
    this.#noteBurst(this.#unacknowledgedBytes);
    const allowed = this.#unacknowledgedBytes + this.#grow();
    this.#unacknowledgedBytes = 0;
    return allowed;
  }

  /** Gives the place of a grown window back. */
  close(): void {
    this.#isClosed = true;
    this.#giveBack?.();
  }

  #noteBurst(bytes: number): void {
    const now = this.#now();
    if (now - this.#burst.begunAt > GROWTH_WITHIN_MS) this.#burst = { begunAt: now, bytes: 0 };
    this.#burst.bytes += bytes;
  }

  #grow(): number {
    if (this.#giveBack || this.#isClosed || this.#burst.bytes < GROWTH_BYTES) return 0;
    this.#giveBack = this.#takeGrowth();
    if (!this.#giveBack) return 0;
    this.limitBytes = GROWN_WINDOW_BYTES;
    return GROWN_WINDOW_BYTES - WINDOW_BYTES;
  }
}
