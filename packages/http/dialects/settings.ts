import type { Settings } from "#core/settings.ts";

/** What a process is set by that serves endpoints: the settings of the core, and those that one dialect alone reads. */
export interface ServedSettings extends Settings {
  /** The image of session-manager's sessions. It serves port 8080 and takes `POST /chat` there. */
  readonly sessionImage: string;
  /** Whether the volume of a session is kept as a zip when it is deleted. */
  readonly sessionBackup: boolean;
  /** The regions where dev8 offers workspaces: `centralindia`. */
  readonly regions: readonly string[];
  /** What a workspace of dev8 runs, with `<base>` for the base that was asked for; it serves port 8080. */
  readonly workspaceImage: string;
  /** A file of novita's products and templates in place of those that come with Berth; undefined: those. */
  readonly catalogueFile: string | undefined;
}
