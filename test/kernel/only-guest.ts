/** Null in the guest; else why these tests are skipped. */
export const outside: string | null = process.env.SLUICE_TEST_KERNEL
  ? null
  : "only in the guest of `npm run test:kernel`";
if (outside) console.log(`skipped: ${outside}`);
