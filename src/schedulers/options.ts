import { z } from "zod";

/** For a scheduler that has none. An absent key is parsed as `{}`. */
export const noOptions = z.strictObject({});
