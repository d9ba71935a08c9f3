/** Of the command line; equal to the one in package.json. */
export const version = "1.0.0";
