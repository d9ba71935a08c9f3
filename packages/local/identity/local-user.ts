import type { Actor, Context } from "#core/context.ts";
import { findUser } from "#core/users/record.ts";
import { findOrCreateUser } from "#core/users/register.ts";
import { parseAssumedRole } from "#core/users/username.ts";
import { HttpError } from "#http/answers/http-error.ts";
import type { LocalIdentity } from "./identities.ts";

/**
 * Returns the actor for requests without a key when BERTH_OPEN is set, and registers its user as a login does. The
 * returned function throws if that user is disabled at the time of the request.
 */
export async function localUser(ctx: Context<"table">, identity: LocalIdentity): Promise<() => Promise<Actor>> {
  const role = parseAssumedRole(identity);
  if (!role) throw new Error(`${identity.arn} is not an assumed role`);
  const { uid, username, number } = await findOrCreateUser(ctx, role);
  return async () => {
    if ((await findUser(ctx, uid))?.disabled !== false) throw new HttpError("disabledUser");
    return { uid, username, number, keyPrefix: "", keyHash: "", isAdmin: false };
  };
}
