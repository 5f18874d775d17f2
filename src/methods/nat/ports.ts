import { isEveryPort, type Listener } from "../../core/service.ts";

/** How exact listeners are, the most exact first: one port goes before a range, a range before all ports. */
export const TIERS = ["one", "range", "every"] as const;
export type Tier = (typeof TIERS)[number];

export const tierOf = (listener: Pick<Listener, "port" | "last">): Tier =>
  listener.last === undefined ? "one" : isEveryPort(listener) ? "every" : "range";

/** As nft writes them: `80` or `8000-8100`. */
export const portsOf = ({ port, last }: Pick<Listener, "port" | "last">): string =>
  last === undefined ? `${port}` : `${port}-${last}`;

const holds = ({ port, last }: Pick<Listener, "port" | "last">, asked: number): boolean =>
  port <= asked && asked <= (last ?? port);

/** Of the ports that `listener` holds, which are its own? Those that no more exact one of `all` has taken out of it. */
export function ownPorts(listener: Listener, all: readonly Listener[]): (asked: number) => boolean {
  const rank = (one: Listener): number => TIERS.indexOf(tierOf(one));
  const rivals = all.filter(
    (other) =>
      other.address === listener.address && other.protocol === listener.protocol && rank(other) < rank(listener),
  );
  return (asked) => holds(listener, asked) && !rivals.some((other) => holds(other, asked));
}
