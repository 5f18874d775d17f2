import { Command, type CommanderError } from "commander";
import { VERSION } from "../supervisor/status.ts";
import { commands } from "./commands.ts";
import { EXIT } from "./config-file.ts";

const program = new Command("sluice")
  .description("One load balancer, six methods: redirect, dns, proxy, nat, direct, tunnel.")
  .version(VERSION)
  .showHelpAfterError("(sluice --help lists the commands)")
  .configureHelp({ sortSubcommands: true, showGlobalOptions: true });
for (const register of commands) register(program);
exitByOurCodes(program);

/** Commander ends with 1 on wrong usage; ours is 2, since 1 means the configuration. */
function exitByOurCodes(command: Command): void {
  command.exitOverride((error: CommanderError) => {
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
  });
  for (const sub of command.commands) exitByOurCodes(sub);
}

await program.parseAsync();
