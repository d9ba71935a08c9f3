export interface Ids {
  /** Returns 128 random bits as 32 hex digits. */
  uid(): string;
  /** Returns a lower-case UUID version 7, which sorts by creation time. */
  uuid7(): string;
  uuid4(): string;
  /** Returns random bytes as base64url without padding. */
  secret(bytes: number): string;
  /** Returns the SHA-256 as 64 hex digits. */
  hash(text: string): string;
  /** Returns the HMAC-SHA256 as bytes. */
  hmac(key: Uint8Array, text: string): Uint8Array;
}
