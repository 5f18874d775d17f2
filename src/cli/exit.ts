/** Exit codes that every command keeps to. `unread` is what a shell says of SIGPIPE. */
export const EXIT = { ok: 0, config: 1, usage: 2, unreachable: 3, kernel: 4, unread: 141 } as const;
