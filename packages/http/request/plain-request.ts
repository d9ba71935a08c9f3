/**
 * The parts of a request that Berth reads. The platform's Request has them, and a Lambda event becomes one without it:
 * the platform's classes load undici, which is a quarter of a function's init.
 */
export interface PlainRequest extends Pick<Request, "method" | "url" | "body" | "arrayBuffer"> {
  readonly headers: PlainHeaders;
}

export type PlainHeaders = Pick<Headers, "get" | "has">;

/** An answer in a form that each server turns into its own. */
export interface PlainResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
  /** What is sent in place of the body, as it comes. */
  readonly stream?: AsyncGenerator<Uint8Array> | undefined;
}

/** The answer as the platform's Response. */
export function toResponse({ body, status, headers, stream }: PlainResponse): Response {
  // Asks for the next piece once the client has taken the last one, and ends the generator when the client leaves.
  if (stream) return new Response(ReadableStream.from(stream), { status, headers });
  // Fetch standard: a null body status takes no body, not even an empty one.
  return new Response(status === 304 ? null : body, { status, headers });
}

/** The body of an answer; bytes are read as UTF-8. */
export function formatBody({ body }: PlainResponse): string {
  return typeof body === "string" ? body : Buffer.from(body).toString("utf8");
}
