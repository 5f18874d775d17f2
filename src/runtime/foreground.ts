/** Runs a program on our own terminal until it ends; its exit code, 127 when it cannot be started. */
export async function foreground(command: readonly string[], env: Record<string, string> = {}): Promise<number> {
  try {
    const child = Bun.spawn([...command], {
      stdio: ["inherit", "inherit", "inherit"],
      env: { ...process.env, ...env },
    });
    const code = await child.exited;
    return child.signalCode === null ? code : 128 + (child.exitCode ?? 9);
  } catch {
    return 127;
  }
}
