/**
 * Starts a program that outlives us, with our own standard output and error. Its pid, or null when it cannot be
 * started. `ended` hears its exit code, 128 + signal when one ended it, while we live.
 */
export function background(command: readonly string[], ended: (code: number) => void): number | null {
  try {
    const child = Bun.spawn([...command], { stdio: ["ignore", "inherit", "inherit"] });
    void child.exited.then(ended);
    child.unref();
    return child.pid;
  } catch {
    return null;
  }
}
