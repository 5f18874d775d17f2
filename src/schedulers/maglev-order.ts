import { placesOf, type Walk } from "./maglev-table.ts";

/** "Nobody" in a layer: there are fewer backends than layers. */
export const NOBODY = 0xffff;

/**
 * The order in which each slot prefers the backends, as layers: `layers[0]` is Maglev's table of all of them, each further
 * layer is filled likewise, but nobody takes a slot that it has in a layer before. So shares by weight hold in every layer,
 * and what a slot falls back on is spread. All layers have one length; indices are those of `names`. Equal wherever names,
 * weights, seed and length are: a host that finds another backend healthy differs in whom it passes over, not in the order.
 */
export function fillOrder(
  layers: readonly Uint16Array[],
  names: readonly string[],
  weights: readonly number[],
  seed: number,
): void {
  for (const layer of layers) layer.fill(NOBODY);
  const slots = layers[0]?.length ?? 0;
  if (slots === 0 || names.length === 0) return;
  layers.forEach((layer, depth) => {
    if (depth < names.length) fillLayer(layer, layers.slice(0, depth), placesOf(names, weights, seed, slots));
  });
}

/** Every backend walks its permutation once: a slot that it has passed was taken, or its own already. */
function fillLayer(layer: Uint16Array, before: readonly Uint16Array[], walk: Walk): void {
  const { inOrder, weight, position, skip } = walk;
  const slots = layer.length;
  const heaviest = weight.reduce((most, w) => Math.max(most, w), 0);
  const due = Float64Array.from(weight);
  const left = new Uint32Array(inOrder.length).fill(slots);
  let filled = 0;
  let walking = inOrder.length;
  for (let round = 1; filled < slots && walking > 0; round++) {
    for (let turn = 0; turn < inOrder.length && filled < slots; turn++) {
      if (left[turn] === 0 || round * weight[turn]! < due[turn]!) continue;
      due[turn]! += heaviest;
      const index = inOrder[turn]!;
      const step = skip[turn]!;
      let slot = position[turn]!;
      let remaining = left[turn]!;
      while (remaining > 0 && (layer[slot] !== NOBODY || before.some((one) => one[slot] === index))) {
        slot += step;
        if (slot >= slots) slot -= slots;
        remaining--;
      }
      if (remaining > 0) {
        layer[slot] = index;
        filled++;
      }
      position[turn] = slot;
      left[turn] = remaining;
      if (remaining === 0) walking--;
    }
  }
}
