/** Exit codes that every command keeps to. */
export const EXIT = { ok: 0, config: 1, usage: 2, unreachable: 3, kernel: 4 } as const;
