/** Input that waits until the server accepts it. */
export class InputQueue {
  #waiting: Uint8Array[] = [];
  /** The server accepts at most this many bytes that it did not acknowledge yet. */
  #window = 0;
  #sent = 0;
  #acknowledged = 0;

  add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
  }

  clear(): void {
    this.#waiting = [];
  }

  openWindow(window: number): void {
    this.#window = window;
  }

  acknowledge(received: number): void {
    this.#acknowledged = received;
  }

  /** Removes and returns the next bytes that the server accepts, or undefined if there are none. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    const [next] = this.#waiting;
    const room = this.#window - (this.#sent - this.#acknowledged);
    if (!next || room <= 0) return undefined;
    const part = next.slice(0, room);
    if (part.length === next.length) this.#waiting.shift();
    else this.#waiting[0] = next.slice(part.length);
    this.#sent += part.length;
    return part;
  }

  /**
   * Ends a connection, and reports whether it may have lost input. Then the rest is dropped too: a shell would execute the
   * end of a paste without its middle.
   */
  disconnect(): boolean {
    const mayHaveLost = this.#sent > this.#acknowledged;
    if (mayHaveLost) this.clear();
    this.#window = 0;
    this.#sent = 0;
    this.#acknowledged = 0;
    return mayHaveLost;
  }
}
