/** Runs a program on our own terminal until it ends; its exit code, 128 + signal when one ended it, 127 when it cannot be started. */
export async function foreground(command: readonly string[], env: Record<string, string> = {}): Promise<number> {
  try {
    const child = Bun.spawn([...command], {
      stdio: ["inherit", "inherit", "inherit"],
      env: { ...process.env, ...env },
    });
    return await child.exited;
  } catch {
    return 127;
  }
}
