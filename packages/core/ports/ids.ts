export interface Ids {
  /** 128 random bits as 32 hex digits. */
  uid(): string;
  /** A lower-case UUID version 7: sorts by the time it was made. */
  uuid7(): string;
  /** A lower-case UUID version 4: nothing but random. */
  uuid4(): string;
  /** Random bytes as base64url without padding. */
  secret(bytes: number): string;
  /** SHA-256 as 64 hex digits. */
  hash(text: string): string;
  /** HMAC-SHA256 of a text under a key of bytes, as bytes. */
  hmac(key: Uint8Array, text: string): Uint8Array;
}
