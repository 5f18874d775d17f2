/** Monotonic time in ms, with fractions. */
export const now = (): number => performance.now();

/** Resolves after `ms`. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Returns after `ms`; nothing else of this process runs meanwhile. */
export const sleepSync = (ms: number): void => Bun.sleepSync(ms);

/** Resolves when everything else that waits has had its turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
