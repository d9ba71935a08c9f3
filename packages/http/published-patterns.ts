/**
 * Patterns as openapi.json publishes them where the rule itself is written with what only JavaScript has. They compile
 * in ECMAScript with and without the u flag, in RE2 and in Python, and let through all that the rule lets through.
 */

export const withoutControls = "^[^\\x00-\\x1f\\x7f-\\x9f]+$";

/** RE2 has no look-ahead. Together with the length this is equivalent. */
export const publishedGithubName = { pattern: "^[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*$", maxLength: 39 };
