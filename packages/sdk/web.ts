import type { components } from "./schema.ts";
import type { CallOptions, Transport } from "./transport.ts";

type Schemas = components["schemas"];
export type WebCode = Schemas["WebCode"];
export type WebSession = Schemas["WebSession"];

/** Sessions of browsers. A client with a key issues a code, and a page of the deployment uses it. */
export class Web {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Issues a code that logs one browser in as the key's owner. It belongs into the fragment of the console's address.
   *
   * @example
   * const { code, expires_at } = await berth.web.createCode();
   */
  createCode(options: CallOptions = {}): Promise<WebCode> {
    return this.#transport.send("POST", "/v1/web/codes", { ...options, repeat: "safe" });
  }

  /**
   * Returns whom a code logs in, and leaves it valid.
   *
   * @example
   * const { username } = await berth.web.showCode(code);
   */
  showCode(code: string, options: CallOptions = {}): Promise<{ readonly username: string }> {
    return this.#transport.send("POST", "/v1/web/codes/show", {
      ...options,
      body: { code },
      public: true,
      repeat: "safe",
    });
  }

  /**
   * Uses a code up: the browser gets the cookie of a session. Works only in a page of the deployment. It is sent once,
   * because a repeat would find the code used.
   *
   * @example
   * const berth = new Berth({ url: location.origin, cookie: true });
   * const { username, expires_at } = await berth.web.openSession(code);
   */
  openSession(code: string, options: CallOptions = {}): Promise<WebSession> {
    return this.#transport.send("POST", "/v1/web/sessions", { ...options, body: { code }, public: true });
  }

  /**
   * Signs this browser out.
   *
   * @example
   * await berth.web.closeSession();
   */
  closeSession(options: CallOptions = {}): Promise<{ readonly status: "signed_out" }> {
    return this.#transport.send("DELETE", "/v1/web/sessions", options);
  }
}
