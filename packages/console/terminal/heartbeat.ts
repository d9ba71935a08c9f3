/** A connection gets a ping after this long without a frame. */
const silenceMs = 15_000;
/** A connection without a frame for this long after a ping is lost. */
const answerMs = 10_000;

interface HeartbeatOptions {
  sendPing(): void;
  /** Is called once no answer came to a ping. */
  onLost(): void;
}

/**
 * Finds a connection that has died without a close frame, for example in a laptop that slept. The browser itself notices
 * that only after minutes. A hidden page sends no pings.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: number | undefined;
  #isStarted = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const check = () => {
      if (this.#isStarted) this.#ping();
    };
    document.addEventListener("visibilitychange", check);
    addEventListener("online", check);
  }

  /** Starts the time without a frame, for a new connection and at each frame. */
  beat(): void {
    this.#isStarted = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ping(), silenceMs);
  }

  stop(): void {
    this.#isStarted = false;
    clearTimeout(this.#timer);
  }

  #ping(): void {
    clearTimeout(this.#timer);
    if (document.visibilityState !== "visible") return;
    this.#options.sendPing();
    this.#timer = setTimeout(() => this.#options.onLost(), answerMs);
  }
}
