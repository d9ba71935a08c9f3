/** Of this release; equal to the one in package.json. */
export const version = "1.0.0";

/** The oldest command line and SDK that this release still serves. */
export const minClientVersion = "1.0.0";
