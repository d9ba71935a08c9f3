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
  readonly stream?: AsyncGenerator<string> | undefined;
}

/** The answer as the platform's Response. */
export function toResponse({ body, status, headers, stream }: PlainResponse): Response {
  if (stream) return new Response(bytesOf(stream), { status, headers });
  // Fetch standard: a null body status takes no body, not even an empty one.
  return new Response(status === 304 ? null : body, { status, headers });
}

/** Asks for the next piece once the client has taken the last one; a client that leaves ends the generator. */
function bytesOf(pieces: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      // Not awaited: the generator ends once what it waits for is over.
      cancel: () => void pieces.return(undefined),
    },
    { highWaterMark: 0 },
  );
}

/** The body of an answer; bytes are read as UTF-8. */
export function textOf({ body }: PlainResponse): string {
  return typeof body === "string" ? body : Buffer.from(body).toString("utf8");
}
