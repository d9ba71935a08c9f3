/** This release, as in package.json. */
export const version = "1.0.0";

export const minClientVersion = "1.0.0";
