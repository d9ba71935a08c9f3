/** Posts to receivers that users name. The URLs are untrusted (docs/apis/novita.md#webhooks). */
export interface Fetch {
  /**
   * Returns `private` for an address, or a name that resolves to one, that must not be dialled. A name that does not
   * resolve is `allowed`: it is checked again when it is dialled.
   */
  authorize(url: string): Promise<"allowed" | "private">;
  /** Follows no redirects. Throws `AddressRefused` before sending, and other errors if there is no answer. */
  post(request: FetchRequest): Promise<FetchAnswer>;
}

export interface FetchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Limit of the whole exchange, ms. */
  readonly timeoutMs: number;
}

export interface FetchAnswer {
  readonly status: number;
  /** The value of a Retry-After header, if valid. */
  readonly retryAfterMs: number | null;
}
