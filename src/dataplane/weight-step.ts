/** While more of a service's slots than this are unsettled, changes that only move weights wait. */
export const WEIGHTS_WAIT = 0.25;
/** Halvings after which a step is not made any smaller. */
const HALVINGS = 6;

/**
 * As far towards the wanted weights as the share of unsettled slots allows: all the way, half of it, a quarter … `shareOf`
 * tells what share of slots would be unsettled under these weights. Null: not even the smallest step that changes anything
 * is allowed. All lists are of one length; weights are integers from 1 on.
 */
export function weightStep(
  before: readonly number[],
  wanted: readonly number[],
  shareOf: (weights: readonly number[]) => number,
): number[] | null {
  for (let part = 1, i = 0; i <= HALVINGS; i++, part /= 2) {
    const step = wanted.map((weight, at) => {
      const change = (weight - before[at]!) * part;
      // Away from zero: the last step arrives.
      return before[at]! + (change < 0 ? Math.floor(change) : Math.ceil(change));
    });
    if (shareOf(step) <= WEIGHTS_WAIT) return step;
  }
  return null;
}
