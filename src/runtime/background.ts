/**
 * Starts a program that outlives us, with our own standard output and error. Its pid, or null when it cannot be
 * started. `ended` hears its exit code while we live.
 */
export function background(command: readonly string[], ended: (code: number) => void): number | null {
  try {
    const child = Bun.spawn([...command], {
      stdio: ["ignore", "inherit", "inherit"],
      onExit: (_child, code, signal) => ended(code ?? 128 + Number(signal)),
    });
    child.unref();
    return child.pid;
  } catch {
    return null;
  }
}
