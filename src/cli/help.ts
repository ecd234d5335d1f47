import { type Command, CommandHelp, Help, type Interfaces } from '@oclif/core';
import { EXIT_MEANING } from '../errors.ts';

/** The order in which a newcomer meets the commands; what is in no group comes last. */
const GROUPS: readonly [title: string, ids: readonly string[]][] = [
  ['START', ['init', 'demo', 'doctor']],
  ['WRITE MIGRATIONS', ['create', 'sync', 'lint']],
  ['MIGRATE', ['plan', 'up', 'down', 'status', 'verify']],
  ['MEND', ['resolve', 'repair', 'baseline', 'fresh', 'exec']],
  ['TENANTS', ['tenant:']],
  ['CENTRAL DATABASE', ['central:']],
  ['RUNS', ['run:']],
];

const EXAMPLES = [
  'mpm-migrate create add_meter_status',
  'mpm-migrate up --all',
  'mpm-migrate up --failed',
  'mpm-migrate status --tenant 42',
];

const ENVIRONMENT: [name: string, meaning: string][] = [
  ['MPM_CENTRAL_URL', 'the central database; enough to start, without a configuration file'],
  ['MPM_CONFIG', 'the configuration file, as with --config'],
  ['MPM_CONCURRENCY, …', 'what the flags of the same name say; a flag goes first'],
  ['MPM_ACTOR', "who runs this, for the history (default: the CI's own variable)"],
  ['PG*, .pgpass', 'as with psql'],
  ['NO_COLOR, FORCE_COLOR', 'without colour; with it'],
];

/** Sections of flags in this order: what one decides first comes first. */
const FLAG_GROUPS = ['selection', 'pace', 'output', 'global'];

class FleetCommandHelp extends CommandHelp {
  // Every flag has its line below; a synopsis of twenty of them is not read.
  protected override defaultUsage(): string {
    const args = Object.values(this.command.args ?? {}).filter(({ hidden }) => !hidden);
    return [this.command.id, ...args.map((arg) => this.arg(arg)), '[FLAGS]'].join(' ');
  }

  /** The summary stands at the top of the help already; line ends of the source are no line ends of the text. */
  protected override description(): string | undefined {
    const { description } = this.command;
    return description && this.wrap(description.replaceAll(/(?<!\n)\n(?!\n)/g, ' '));
  }

  protected override flagHelpLabel(flag: Command.Flag.Any, showOptions?: boolean): string {
    return flag.helpLabel ?? super.flagHelpLabel(flag, showOptions);
  }

  protected override groupFlags(flags: Command.Flag.Any[]) {
    const { mainFlags, flagGroups } = super.groupFlags(flags);
    const place = (group: string) => (FLAG_GROUPS.includes(group) ? FLAG_GROUPS.indexOf(group) : -1);
    const groups = Object.entries(flagGroups).toSorted(([a], [b]) => place(a) - place(b));
    return { mainFlags, flagGroups: Object.fromEntries(groups) };
  }
}

/** The help: oclif's per command, with exit codes and environment; the root by what one wants to do. */
export default class FleetHelp extends Help {
  protected override CommandHelpClass = FleetCommandHelp;

  constructor(config: Interfaces.Config, options: Partial<Interfaces.HelpOptions> = {}) {
    super(config, { ...options, flagSortOrder: 'none' });
  }

  override formatRoot(): string {
    const { config } = this;
    return [
      config.pjson.description ?? '',
      this.section('USAGE', `$ ${config.bin} COMMAND [FLAGS]\n$ ${config.bin} COMMAND --help`),
      ...this.commandSections(),
      this.section('EXAMPLES', EXAMPLES.map((line) => `$ ${line}`).join('\n')),
      this.exitCodes(),
      this.environment(),
    ].join('\n\n');
  }

  // All commands are in formatRoot, with their topics.
  override formatTopics(): string {
    return '';
  }

  override async showRootHelp(): Promise<void> {
    this.log(this.formatRoot());
  }

  override formatCommand(command: Command.Loadable): string {
    return [super.formatCommand(command).trimEnd(), this.exitCodes(), this.environment()].join('\n\n');
  }

  private commandSections(): string[] {
    const commands = this.sortedCommands.filter(({ id }) => id);
    const belongs = (id: string, wanted: string) =>
      wanted.endsWith(':') ? id.startsWith(wanted) : id === wanted;
    const grouped = GROUPS.map(([title, ids]) => ({
      title,
      found: ids.flatMap((wanted) => commands.filter(({ id }) => belongs(id, wanted))),
    }));
    const known = new Set(grouped.flatMap(({ found }) => found));
    const all = [...grouped, { title: 'MORE', found: commands.filter((command) => !known.has(command)) }];
    const widest = Math.max(0, ...commands.map(({ id }) => id.length));
    return all
      .filter(({ found }) => found.length > 0)
      .map(({ title, found }) =>
        this.section(title, found.map((command) => this.commandLine(command, widest)).join('\n')),
      );
  }

  private commandLine(command: Command.Loadable, width: number): string {
    const summary = (command.summary ?? command.description ?? '').split('\n')[0] ?? '';
    return `${command.id.replaceAll(':', ' ').padEnd(width)}  ${this.render(summary)}`.trimEnd();
  }

  private exitCodes(): string {
    const rows = Object.entries(EXIT_MEANING).map(([code, meaning]): [string, string] => [code, meaning]);
    return this.section('EXIT CODES', this.rows(rows));
  }

  private environment(): string {
    return this.section('ENVIRONMENT', this.rows(ENVIRONMENT));
  }

  private rows(rows: [string, string][]): string {
    return this.renderList(rows, { indentation: 2, spacer: '\n', stripAnsi: false });
  }
}
