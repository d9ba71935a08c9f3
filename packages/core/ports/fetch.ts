/** Posts to receivers that users name. What they name is never trusted (docs/apis/novita.md#webhooks). */
export interface Fetch {
  /**
   * `private`: a literal address, or a name that resolves to one, that is not to be dialled. A name that does not
   * resolve is `allowed`: it may later, and is looked at again when it is dialled.
   */
  authorize(url: string): Promise<"allowed" | "private">;
  /** Redirects are not followed. Throws `AddressRefused` before anything is sent, anything else when nothing answered. */
  post(request: FetchRequest): Promise<FetchAnswer>;
}

export interface FetchRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For the whole exchange, ms. */
  readonly timeoutMs: number;
}

export interface FetchAnswer {
  readonly status: number;
  /** What a Retry-After header says, where it can be read. */
  readonly retryAfterMs: number | null;
}
