import type { Settings } from "#core/settings.ts";

/** Settings of a process that serves endpoints: the core's, and those of single dialects. */
export interface ServedSettings extends Settings {
  /** The image of session-manager's sessions. It serves port 8080 and takes `POST /chat` there. */
  readonly sessionImage: string;
  readonly sessionBackup: boolean;
  readonly regions: readonly string[];
  /** The image of dev8's workspaces, where `<base>` stands for the requested base. It serves port 8080. */
  readonly workspaceImage: string;
  /** A file that replaces Berth's own products and templates of novita. */
  readonly catalogueFile: string | undefined;
}
