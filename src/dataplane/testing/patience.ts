/** ms that a test may take. An emulated machine, whose host has others to serve, verifies programs for minutes. */
export const patience = (ms: number): number => (process.env.SLUICE_TEST_KERNEL ? 10 * ms : ms);
