import type { Config } from "../core/service.ts";

/** Keys whose values are secrets; `accept`: those of others, or of the time before and after, that are taken too. */
const SECRET: readonly string[] = ["secret", "accept"];

/** A copy of a configuration that may leave the daemon: what stands under a key of `SECRET` is left out. */
export const withoutSecrets = (config: Config): Config =>
  JSON.parse(JSON.stringify(config, (key, value) => (SECRET.includes(key) ? undefined : value))) as Config;
