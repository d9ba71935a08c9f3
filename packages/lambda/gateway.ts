/** The parts of an API Gateway event, payload format 2.0, that are read here. */
export interface GatewayEvent {
  readonly rawPath: string;
  readonly rawQueryString: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
  readonly requestContext: { readonly http: { readonly method: string } };
}

export interface GatewayResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

/** The event as a Request. A header that no Request may hold is left out; its path and query are as the client sent them. */
export function requestOfEvent(event: GatewayEvent): Request {
  const { method } = event.requestContext.http;
  const headers = headersOfEvent(event);
  const body = method === "GET" || method === "HEAD" ? undefined : bytesOf(event);
  if (body) headers.set("content-length", String(body.byteLength));
  return new Request(urlOf(event), { method, headers, ...(body && { body }) });
}

export async function resultOfResponse(response: Response): Promise<GatewayResult> {
  const isText = /^(application\/json|text\/)/.test(response.headers.get("content-type") ?? "text/");
  const body = isText ? await response.text() : Buffer.from(await response.arrayBuffer()).toString("base64");
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body,
    isBase64Encoded: !isText,
  };
}

/** The host plays no part: routing knows paths alone. What would end the path early is escaped. */
function urlOf({ rawPath, rawQueryString }: GatewayEvent): string {
  const path = rawPath.replace(/[?#\\\t\n\r]/g, encodeURIComponent);
  const query = rawQueryString.replace(/[#\t\n\r]/g, encodeURIComponent);
  return `https://gateway${path.startsWith("/") ? "" : "/"}${path}${query === "" ? "" : `?${query}`}`;
}

function headersOfEvent(event: GatewayEvent): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(event.headers ?? {})) {
    if (value !== undefined && headerName.test(name) && headerValue.test(value)) headers.set(name, value);
  }
  return headers;
}

// RFC 9110 section 5: a token, and a value of visible or extended Latin-1 characters, spaces and tabs.
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function bytesOf({ body, isBase64Encoded }: GatewayEvent): Uint8Array<ArrayBuffer> | undefined {
  if (!body) return undefined;
  return new Uint8Array(Buffer.from(body, isBase64Encoded ? "base64" : "utf8"));
}
