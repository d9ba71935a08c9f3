import type { Actor, Context } from "#core/context.ts";
import { findUser } from "#core/users/record.ts";
import { findOrCreateUser } from "#core/users/register.ts";
import { parseAssumedRole } from "#core/users/username.ts";
import { HttpError } from "#http/answers/http-error.ts";
import type { LocalIdentity } from "./identities.ts";

/**
 * Who asks where BERTH_OPEN lets a request in without a key: the user of this identity, registered now as by a login.
 * What is answered throws a Refusal when that user is disabled at the time of the request.
 */
export async function localUser(ctx: Context<"table">, identity: LocalIdentity): Promise<() => Promise<Actor>> {
  const role = parseAssumedRole(identity);
  if (!role) throw new Error(`${identity.arn} is no assumed role`);
  const { uid, username, number } = await findOrCreateUser(ctx, role);
  return async () => {
    if ((await findUser(ctx, uid))?.disabled !== false) throw new HttpError("disabledUser");
    return { uid, username, number, keyPrefix: "", keyHash: "", isAdmin: false };
  };
}
