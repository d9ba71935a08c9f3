/** Opens a link with the desktop's default program. Returns false if no desktop can. */
export async function openLink(link: string): Promise<boolean> {
  if (!hasDisplay()) return false;
  const { default: open } = await import("open");
  return open(link).then(
    () => true,
    () => false,
  );
}

/** Reports whether this process belongs to a desktop. WSL opens links on the desktop of Windows. */
function hasDisplay(): boolean {
  const { DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME, SSH_CONNECTION } = process.env;
  if (process.platform === "linux") return Boolean(DISPLAY || WAYLAND_DISPLAY || WSL_DISTRO_NAME);
  return !SSH_CONNECTION;
}
