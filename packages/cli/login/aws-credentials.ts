import { defaultProvider } from "@aws-sdk/credential-provider-node";

/**
 * Returns the credentials of the AWS chain. The package is CommonJS, and a dynamic import of it in a bundle has only a
 * default export. So this module imports it by name, and is itself imported dynamically.
 */
export function awsCredentials(profile: string | undefined) {
  return defaultProvider(profile === undefined ? {} : { profile })();
}
