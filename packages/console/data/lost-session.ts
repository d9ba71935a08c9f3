import { BerthError, type ErrorCode } from "../../sdk/errors.ts";
import { printable } from "./words.ts";

/** Reasons why a browser is not logged in, by the API's error code. If undefined, the API's message says it. */
const reasons = {
  key_missing: "This browser has no session.",
  key_invalid: undefined,
  key_expired: "This browser's session has expired.",
  key_revoked: "This browser's session was revoked.",
  user_disabled: "An operator disabled this user.",
} as const satisfies Partial<Record<ErrorCode, string | undefined>>;

type LostSession = BerthError & { readonly code: keyof typeof reasons };

/** Reports whether an error means that this browser has no session any more. */
export function needsLogin(error: unknown): error is LostSession {
  return error instanceof BerthError && Object.hasOwn(reasons, error.code);
}

/** Returns why this browser has no session. */
export function describeLoss({ code, message }: LostSession): string {
  return reasons[code] ?? `${printable(message, 300)}.`;
}
