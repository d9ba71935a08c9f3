import type { Settings } from "#core/settings.ts";

/** Returns the warning of an environment whose page, `subject`, a deployment without a gateway does not serve. */
export function formatNoPages(subject: string, access: Settings["userAccess"]): string {
  return `${subject} cannot be reached: this deployment serves no pages (ACCESS=${access})`;
}
