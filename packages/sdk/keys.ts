import type { components } from "./schema.ts";
import type { CallOptions, Transport } from "./transport.ts";

type Schemas = components["schemas"];
export type Key = Schemas["Key"];

/** API keys of the key's owner. */
export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Yields the keys that work.
   *
   * @example
   * for await (const { key_prefix, current } of berth.keys.list()) console.log(key_prefix, current);
   */
  async *list(options: CallOptions = {}): AsyncGenerator<Key> {
    const { keys } = await this.#transport.send<Schemas["KeyList"]>("GET", "/v1/keys", options);
    yield* keys;
  }

  /**
   * Revokes a key. It may be the one in use.
   *
   * @example
   * await berth.keys.revoke("AbCd1234");
   */
  revoke(prefix: string, options: CallOptions = {}): Promise<Schemas["RevokedKey"]> {
    return this.#transport.send("DELETE", `/v1/keys/${encodeURIComponent(prefix)}`, options);
  }

  /**
   * Replaces the key in use. It is sent once, because a repeat would create a second key.
   *
   * @example
   * const { api_key } = await berth.keys.rotate();
   */
  rotate(options: CallOptions = {}): Promise<Schemas["RotatedKey"]> {
    return this.#transport.send("POST", "/v1/keys/rotate", options);
  }
}
