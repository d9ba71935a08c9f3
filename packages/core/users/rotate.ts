import type { UserContext } from "../context.ts";
import { Problem } from "../problem.ts";
import { HOUR_MS } from "../units.ts";
import { type IssuedKey, issueKey } from "./issue.ts";
import { endKey, isLive } from "./keys.ts";
import { type ApiKey, findApiKey, findUser, type User } from "./record.ts";

/**
 * Exchanges the caller's key for a new one (docs/apis/gpu-dev.md#api-keys). The old key is ended last, so the caller
 * always has a working one. Throws `unauthenticated` when the chain or the key is over, `forbidden` for a disabled
 * user.
 */
export async function rotateKey(ctx: UserContext<"table" | "queue">): Promise<{ user: User; key: IssuedKey }> {
  const { keyHash, uid } = ctx.actor;
  const [old, user] = await Promise.all([findApiKey(ctx, keyHash), findUser(ctx, uid)]);
  const now = ctx.clock.now();
  if (!old || !user) throw new Problem("unauthenticated", "Invalid API key");
  requireLive(old, now);
  const endsAt = old.loginAt + ctx.settings.keyChainHours * HOUR_MS;
  if (endsAt <= now) {
    throw new Problem("unauthenticated", "API key can no longer be rotated. Log in with AWS again", {
      errorCode: "key_expired",
    });
  }
  const key = await issueKey(ctx, user, old.role, { loginAt: old.loginAt, endsAt, replaces: keyHash });
  // Start the overlap after the new key is written: other processes of the user still use the old key.
  const overlapEndsAt = ctx.clock.now() + ctx.settings.keyOverlapSeconds * 1000;
  if ((await endKey(ctx, keyHash, overlapEndsAt)) === "over") {
    // The old key was revoked during the rotation. End the new key, which no caller has seen.
    await endKey(ctx, key.hash, now);
    throw new Problem("unauthenticated", "API key has been revoked", { errorCode: "key_revoked" });
  }
  return { user, key };
}

/** Rechecks the key, because authentication may have used a copy up to 5 s old. */
function requireLive(key: ApiKey, now: number): void {
  if (isLive(key, now)) return;
  const isExpired = key.expiresAt <= now;
  throw new Problem("unauthenticated", isExpired ? "API key has expired" : "API key has been revoked", {
    errorCode: isExpired ? "key_expired" : "key_revoked",
  });
}
