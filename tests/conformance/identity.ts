import { beforeEach, describe, expect, it } from "vitest";
import type { AwsCredentials, CallerIdentity, Identity, SignedIdentityRequest } from "#core/ports/identity.ts";
import { IdentityRefused } from "#core/problem.ts";

/** Identity under test, a caller that it knows, and that caller's signed GetCallerIdentity requests. */
export interface IdentityUnderTest {
  readonly identity: Identity;
  readonly known: AwsCredentials & CallerIdentity & { readonly sessionToken: string };
  sign(credentials: AwsCredentials): Promise<SignedIdentityRequest>;
}

/** Conformance tests of Identity. */
export function identityConformance(open: () => Promise<IdentityUnderTest>): void {
  let test: IdentityUnderTest;

  beforeEach(async () => {
    test = await open();
  });

  const ways = {
    "with credentials": (credentials: AwsCredentials) => test.identity.callerOfCredentials(credentials),
    "with a signed request": async (credentials: AwsCredentials) =>
      test.identity.callerOfRequest(await test.sign(credentials)),
  };

  describe.each(Object.entries(ways))("%s", (_, getCaller) => {
    it("returns the caller", async () => {
      const { account, arn } = test.known;

      const caller = await getCaller(test.known);

      expect(caller).toEqual({ account, arn });
    });

    it("returns the error code for an unknown key id", async () => {
      const unknown = { ...test.known, accessKeyId: "ASIAUNKNOWNUNKNOWN00" };

      expect(await getRefusal(getCaller(unknown))).toBe("InvalidClientTokenId");
    });

    it("returns the error code for a wrong secret", async () => {
      const wrong = { ...test.known, secretAccessKey: "w".repeat(40) };

      expect(await getRefusal(getCaller(wrong))).toBe("SignatureDoesNotMatch");
    });

    it("returns the error code for a missing or changed session token", async () => {
      const missing = { ...test.known, sessionToken: undefined };
      const changed = { ...test.known, sessionToken: `${test.known.sessionToken.slice(0, -1)}!` };

      expect(await getRefusal(getCaller(missing))).toBe("InvalidClientTokenId");
      expect(await getRefusal(getCaller(changed))).toBe("InvalidClientTokenId");
    });
  });
}

async function getRefusal(call: Promise<CallerIdentity>): Promise<string> {
  const error: unknown = await call.then(
    () => new Error("was accepted"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof IdentityRefused)) throw error;
  return error.code;
}
