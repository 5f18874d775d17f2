import type { Config } from "../core/service.ts";

/** A copy of a configuration that may leave the daemon: what stands under a key named `secret` is left out. */
export const withoutSecrets = (config: Config): Config =>
  JSON.parse(JSON.stringify(config, (key, value) => (key === "secret" ? undefined : value))) as Config;
